-- The tables of the historical schema at revision 1c862ebfbb3a in the types
-- SQLite has: uuids and times are text, lists and documents JSON text,
-- booleans 0 and 1. Checks stand for the lengths and ranges that Postgres
-- enforces by type. The store gives every uuid itself.
--
-- Indexes over lower(...) use the function this package registers, which
-- folds all of Unicode; the one built into other programs folds ASCII only.

create table alembic_version_auth (
	version_num text not null check (length(version_num) <= 32),
	constraint alembic_version_auth_pkc primary key (version_num)
) strict;

create table auth_tenant (
	uuid text not null check (length(uuid) <= 38),
	name text,
	phone text,
	contact_uuid text check (length(contact_uuid) <= 38),
	parent_uuid text not null check (length(parent_uuid) <= 38),
	slug text not null check (length(slug) <= 10),
	default_authentication_method text not null default 'native',
	constraint auth_tenant_pkey primary key (uuid),
	constraint auth_tenant_slug_key unique (slug),
	constraint auth_tenant_contact_uuid_fkey foreign key (contact_uuid) references auth_user (uuid) on delete set null,
	constraint auth_tenant_parent_uuid_fkey foreign key (parent_uuid) references auth_tenant (uuid)
) strict;
create index auth_tenant__idx__contact_uuid on auth_tenant (contact_uuid);
create index auth_tenant__idx__parent_uuid on auth_tenant (parent_uuid);

create table auth_user (
	uuid text not null check (length(uuid) <= 38),
	username text check (length(username) <= 256),
	password_hash text,
	password_salt blob,
	firstname text,
	lastname text,
	enabled integer default 1 check (enabled in (0, 1)),
	tenant_uuid text not null check (length(tenant_uuid) <= 38),
	purpose text not null,
	authentication_method text not null default 'default',
	constraint auth_user_pkey primary key (uuid),
	constraint auth_user_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade,
	constraint auth_user_purpose_check check (purpose in ('user', 'internal', 'external_api'))
) strict;
create unique index auth_user_username_key on auth_user (lower(username));
create index auth_user__idx__tenant_uuid on auth_user (tenant_uuid);

create table auth_address (
	id integer not null constraint auth_address_pkey primary key autoincrement,
	line_1 text,
	line_2 text,
	city text,
	state text,
	zip_code text,
	country text,
	tenant_uuid text not null check (length(tenant_uuid) <= 38),
	constraint auth_address_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
) strict;
create index auth_address__idx__tenant_uuid on auth_address (tenant_uuid);

create table auth_tenant_domain (
	uuid text not null check (length(uuid) <= 36),
	tenant_uuid text not null check (length(tenant_uuid) <= 38),
	name text not null check (length(name) <= 253),
	constraint auth_tenant_domain_pkey primary key (uuid),
	constraint auth_tenant_domain_name_key unique (name),
	constraint auth_tenant_domain_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
) strict;
create index auth_tenant_domain__idx__tenant_uuid on auth_tenant_domain (tenant_uuid);

create table auth_email (
	uuid text not null check (length(uuid) <= 38),
	address text not null,
	confirmed integer not null check (confirmed in (0, 1)),
	main integer not null check (main in (0, 1)),
	user_uuid text not null check (length(user_uuid) <= 38),
	constraint auth_email_pkey primary key (uuid),
	constraint auth_email_user_uuid_fkey foreign key (user_uuid) references auth_user (uuid) on delete cascade
) strict;
create unique index auth_email_address_key on auth_email (lower(address));
create index auth_email__idx__user_uuid on auth_email (user_uuid);

create table auth_group (
	uuid text not null check (length(uuid) <= 38),
	name text not null,
	tenant_uuid text not null check (length(tenant_uuid) <= 38),
	system_managed integer not null default 0 check (system_managed in (0, 1)),
	slug text not null check (length(slug) <= 80),
	constraint auth_group_pkey primary key (uuid),
	constraint auth_group_name_tenant unique (name, tenant_uuid),
	constraint auth_group_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
) strict;
create unique index auth_group__idx__slug on auth_group (lower(slug), tenant_uuid);
create index auth_group__idx__tenant_uuid on auth_group (tenant_uuid);

create table auth_policy (
	uuid text not null check (length(uuid) <= 38),
	name text not null check (length(name) <= 80),
	description text,
	tenant_uuid text not null check (length(tenant_uuid) <= 38),
	config_managed integer default 0 check (config_managed in (0, 1)),
	slug text not null check (length(slug) <= 80),
	shared integer not null default 0 check (shared in (0, 1)),
	constraint auth_policy_pkey primary key (uuid),
	constraint auth_policy_name_tenant unique (name, tenant_uuid),
	constraint auth_policy_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
) strict;
create unique index auth_policy__idx__slug on auth_policy (lower(slug), tenant_uuid);
create index auth_policy__idx__tenant_uuid on auth_policy (tenant_uuid);

-- The historical seed drew three numbers, of which only the first is used.
create table auth_access (
	id integer not null constraint auth_access_pkey primary key autoincrement,
	access text not null,
	constraint auth_access_access unique (access)
) strict;
insert into sqlite_sequence (name, seq) values ('auth_access', 3);

create table auth_policy_access (
	policy_uuid text not null check (length(policy_uuid) <= 38),
	access_id integer not null check (access_id between -2147483648 and 2147483647),
	constraint auth_policy_access_pkey primary key (policy_uuid, access_id),
	constraint auth_policy_access_policy_uuid_fkey foreign key (policy_uuid) references auth_policy (uuid) on delete cascade,
	constraint auth_policy_access_access_id_fkey foreign key (access_id) references auth_access (id) on delete cascade
) strict;

create table auth_group_policy (
	group_uuid text not null check (length(group_uuid) <= 38),
	policy_uuid text not null check (length(policy_uuid) <= 38),
	constraint auth_group_policy_pkey primary key (group_uuid, policy_uuid),
	constraint auth_group_policy_group_uuid_fkey foreign key (group_uuid) references auth_group (uuid) on delete cascade,
	constraint auth_group_policy_policy_uuid_fkey foreign key (policy_uuid) references auth_policy (uuid) on delete cascade
) strict;

create table auth_user_group (
	group_uuid text not null check (length(group_uuid) <= 38),
	user_uuid text not null check (length(user_uuid) <= 38),
	constraint auth_user_group_pkey primary key (group_uuid, user_uuid),
	constraint auth_user_group_group_uuid_fkey foreign key (group_uuid) references auth_group (uuid) on delete cascade,
	constraint auth_user_group_user_uuid_fkey foreign key (user_uuid) references auth_user (uuid) on delete cascade
) strict;

create table auth_user_policy (
	user_uuid text not null check (length(user_uuid) <= 38),
	policy_uuid text not null check (length(policy_uuid) <= 38),
	constraint auth_user_policy_pkey primary key (user_uuid, policy_uuid),
	constraint auth_user_policy_user_uuid_fkey foreign key (user_uuid) references auth_user (uuid) on delete cascade,
	constraint auth_user_policy_policy_uuid_fkey foreign key (policy_uuid) references auth_policy (uuid) on delete cascade
) strict;

create table auth_external_auth_type (
	uuid text not null check (length(uuid) <= 38),
	name text not null,
	enabled integer check (enabled in (0, 1)),
	constraint auth_external_auth_type_pkey primary key (uuid),
	constraint auth_external_auth_type_name_key unique (name)
) strict;

create table auth_external_auth_config (
	type_uuid text not null check (length(type_uuid) <= 36),
	tenant_uuid text not null check (length(tenant_uuid) <= 38),
	data text not null,
	constraint auth_external_auth_config_pkey primary key (type_uuid, tenant_uuid),
	constraint auth_external_auth_config_type_uuid_fkey foreign key (type_uuid) references auth_external_auth_type (uuid) on delete cascade,
	constraint auth_external_auth_config_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
) strict;
create index auth_external_auth_config__idx__type_uuid on auth_external_auth_config (type_uuid);

create table auth_user_external_auth (
	user_uuid text not null check (length(user_uuid) <= 38),
	external_auth_type_uuid text not null check (length(external_auth_type_uuid) <= 38),
	data text not null,
	constraint auth_external_user_type_auth_constraint unique (user_uuid, external_auth_type_uuid),
	constraint auth_user_external_auth_user_uuid_fkey foreign key (user_uuid) references auth_user (uuid) on delete cascade,
	constraint auth_user_external_auth_external_auth_type_uuid_fkey foreign key (external_auth_type_uuid) references auth_external_auth_type (uuid) on delete cascade
) strict;

create table auth_ldap_config (
	tenant_uuid text not null check (length(tenant_uuid) <= 38),
	host text not null check (length(host) <= 512),
	port integer not null check (port between -2147483648 and 2147483647),
	protocol_version integer check (protocol_version between -32768 and 32767),
	protocol_security text,
	bind_dn text check (length(bind_dn) <= 256),
	bind_password text,
	user_base_dn text not null check (length(user_base_dn) <= 256),
	user_login_attribute text check (length(user_login_attribute) <= 64),
	user_email_attribute text check (length(user_email_attribute) <= 64),
	search_filters text,
	constraint auth_ldap_config_pkey primary key (tenant_uuid),
	constraint auth_ldap_config_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade,
	constraint auth_ldap_config_protocol_security_check check (protocol_security in ('ldaps', 'tls'))
) strict;

create table auth_refresh_token (
	uuid text not null check (length(uuid) <= 36),
	client_id text,
	user_uuid text check (length(user_uuid) <= 36),
	backend text,
	login text,
	user_agent text,
	remote_addr text,
	created_at text default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
	mobile integer not null default 0 check (mobile in (0, 1)),
	metadata text not null default '{}' check (json_valid(metadata)),
	constraint auth_refresh_token_pkey primary key (uuid),
	constraint auth_refresh_token_client_id_user_uuid unique (client_id, user_uuid),
	constraint auth_refresh_token_user_uuid_fkey foreign key (user_uuid) references auth_user (uuid) on delete cascade
) strict;
create index auth_refresh_token__idx__user_uuid on auth_refresh_token (user_uuid);

create table auth_session (
	uuid text not null check (length(uuid) <= 36),
	mobile integer not null check (mobile in (0, 1)),
	tenant_uuid text not null check (length(tenant_uuid) <= 38),
	constraint auth_session_pkey primary key (uuid),
	constraint auth_session_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
) strict;
create index auth_session__idx__tenant_uuid on auth_session (tenant_uuid);

create table auth_token (
	uuid text not null check (length(uuid) <= 38),
	auth_id text not null,
	pbx_user_uuid text check (length(pbx_user_uuid) <= 36),
	xivo_uuid text check (length(xivo_uuid) <= 38),
	issued_t integer check (issued_t between -2147483648 and 2147483647),
	expire_t integer check (expire_t between -2147483648 and 2147483647),
	metadata text,
	session_uuid text not null check (length(session_uuid) <= 36),
	user_agent text default '',
	remote_addr text default '',
	acl text not null default '[]' check (json_valid(acl)),
	refresh_token_uuid text check (length(refresh_token_uuid) <= 36),
	constraint auth_token_pkey primary key (uuid),
	constraint auth_token_session_uuid_fkey foreign key (session_uuid) references auth_session (uuid) on delete cascade,
	constraint auth_token_refresh_token_uuid_fkey foreign key (refresh_token_uuid) references auth_refresh_token (uuid) on delete set null
) strict;
create index auth_token__idx__session_uuid on auth_token (session_uuid);

create table auth_saml_config (
	tenant_uuid text not null check (length(tenant_uuid) <= 38),
	domain_uuid text not null check (length(domain_uuid) <= 38),
	entity_id text not null check (length(entity_id) <= 512),
	idp_metadata text not null,
	acs_url text not null check (length(acs_url) <= 512),
	constraint auth_saml_config_pkey primary key (tenant_uuid, domain_uuid),
	constraint auth_saml_config_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade,
	constraint auth_saml_config_domain_uuid_fkey foreign key (domain_uuid) references auth_tenant_domain (uuid) on delete cascade
) strict;

create table auth_saml_pysaml2_cache (
	name_id text not null check (length(name_id) <= 512),
	entity_id text not null check (length(entity_id) <= 1024),
	info text not null,
	not_on_or_after integer not null check (not_on_or_after between -2147483648 and 2147483647),
	constraint auth_saml_pysaml2_cache_pkey primary key (name_id, entity_id)
) strict;

create table auth_saml_session (
	request_id text not null check (length(request_id) <= 40),
	session_id text not null check (length(session_id) <= 22),
	redirect_url text not null check (length(redirect_url) <= 512),
	domain text not null check (length(domain) <= 512),
	relay_state text not null check (length(relay_state) <= 100),
	login text check (length(login) <= 512),
	start_time text default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
	saml_name_id text,
	refresh_token_uuid text check (length(refresh_token_uuid) <= 36),
	constraint auth_saml_session_pkey primary key (request_id, session_id),
	constraint auth_saml_session_refresh_token_uuid_fkey foreign key (refresh_token_uuid) references auth_refresh_token (uuid) on delete set null
) strict;
