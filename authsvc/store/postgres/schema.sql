-- The historical schema at revision 1c862ebfbb3a, empty. Names are part of
-- the contract: the Python service parses constraint names out of errors.
-- Names are unqualified, so everything lands in the first schema of the
-- search_path.

create table alembic_version_auth (
	version_num varchar(32) not null,
	constraint alembic_version_auth_pkc primary key (version_num)
);

-- Tenants and users refer to each other; the second half of the circle is
-- added below.
create table auth_tenant (
	uuid varchar(38) not null default uuid_generate_v4(),
	name text,
	phone text,
	contact_uuid varchar(38),
	parent_uuid varchar(38) not null,
	slug varchar(10) not null,
	default_authentication_method text not null default 'native',
	constraint auth_tenant_pkey primary key (uuid),
	constraint auth_tenant_slug_key unique (slug),
	constraint auth_tenant_parent_uuid_fkey foreign key (parent_uuid) references auth_tenant (uuid)
);
create index auth_tenant__idx__contact_uuid on auth_tenant (contact_uuid);
create index auth_tenant__idx__parent_uuid on auth_tenant (parent_uuid);

create table auth_user (
	uuid varchar(38) not null default uuid_generate_v4(),
	username varchar(256),
	password_hash text,
	password_salt bytea,
	firstname text,
	lastname text,
	enabled boolean default true,
	tenant_uuid varchar(38) not null,
	purpose text not null,
	authentication_method text not null default 'default',
	constraint auth_user_pkey primary key (uuid),
	constraint auth_user_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade,
	constraint auth_user_purpose_check check (purpose in ('user', 'internal', 'external_api'))
);
create unique index auth_user_username_key on auth_user (lower(username));
create index auth_user__idx__tenant_uuid on auth_user (tenant_uuid);

alter table auth_tenant add constraint auth_tenant_contact_uuid_fkey
	foreign key (contact_uuid) references auth_user (uuid) on delete set null;

create sequence auth_address_id_seq as integer;
create table auth_address (
	id integer not null default nextval('auth_address_id_seq'),
	line_1 text,
	line_2 text,
	city text,
	state text,
	zip_code text,
	country text,
	tenant_uuid varchar(38) not null,
	constraint auth_address_pkey primary key (id),
	constraint auth_address_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
);
alter sequence auth_address_id_seq owned by auth_address.id;
create index auth_address__idx__tenant_uuid on auth_address (tenant_uuid);

create table auth_tenant_domain (
	uuid varchar(36) not null default uuid_generate_v4(),
	tenant_uuid varchar(38) not null,
	name varchar(253) not null,
	constraint auth_tenant_domain_pkey primary key (uuid),
	constraint auth_tenant_domain_name_key unique (name),
	constraint auth_tenant_domain_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
);
create index auth_tenant_domain__idx__tenant_uuid on auth_tenant_domain (tenant_uuid);

create table auth_email (
	uuid varchar(38) not null default uuid_generate_v4(),
	address text not null,
	confirmed boolean not null,
	main boolean not null,
	user_uuid varchar(38) not null,
	constraint auth_email_pkey primary key (uuid),
	constraint auth_email_user_uuid_fkey foreign key (user_uuid) references auth_user (uuid) on delete cascade
);
create unique index auth_email_address_key on auth_email (lower(address));
create index auth_email__idx__user_uuid on auth_email (user_uuid);

create table auth_group (
	uuid varchar(38) not null default uuid_generate_v4(),
	name text not null,
	tenant_uuid varchar(38) not null,
	system_managed boolean not null default false,
	slug varchar(80) not null,
	constraint auth_group_pkey primary key (uuid),
	constraint auth_group_name_tenant unique (name, tenant_uuid),
	constraint auth_group_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
);
create unique index auth_group__idx__slug on auth_group (lower(slug), tenant_uuid);
create index auth_group__idx__tenant_uuid on auth_group (tenant_uuid);

create table auth_policy (
	uuid varchar(38) not null default uuid_generate_v4(),
	name varchar(80) not null,
	description text,
	tenant_uuid varchar(38) not null,
	config_managed boolean default false,
	slug varchar(80) not null,
	shared boolean not null default false,
	constraint auth_policy_pkey primary key (uuid),
	constraint auth_policy_name_tenant unique (name, tenant_uuid),
	constraint auth_policy_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
);
create unique index auth_policy__idx__slug on auth_policy (lower(slug), tenant_uuid);
create index auth_policy__idx__tenant_uuid on auth_policy (tenant_uuid);

-- The sequence kept the name of the table this one replaced. The historical
-- seed drew three numbers from it, of which only the first is still used.
create sequence auth_acl_template_id_seq as integer;
create table auth_access (
	id integer not null default nextval('auth_acl_template_id_seq'),
	access text not null,
	constraint auth_access_pkey primary key (id),
	constraint auth_access_access unique (access)
);
alter sequence auth_acl_template_id_seq owned by auth_access.id;
select setval('auth_acl_template_id_seq', 3, true);

create table auth_policy_access (
	policy_uuid varchar(38) not null,
	access_id integer not null,
	constraint auth_policy_access_pkey primary key (policy_uuid, access_id),
	constraint auth_policy_access_policy_uuid_fkey foreign key (policy_uuid) references auth_policy (uuid) on delete cascade,
	constraint auth_policy_access_access_id_fkey foreign key (access_id) references auth_access (id) on delete cascade
);

create table auth_group_policy (
	group_uuid varchar(38) not null,
	policy_uuid varchar(38) not null,
	constraint auth_group_policy_pkey primary key (group_uuid, policy_uuid),
	constraint auth_group_policy_group_uuid_fkey foreign key (group_uuid) references auth_group (uuid) on delete cascade,
	constraint auth_group_policy_policy_uuid_fkey foreign key (policy_uuid) references auth_policy (uuid) on delete cascade
);

create table auth_user_group (
	group_uuid varchar(38) not null,
	user_uuid varchar(38) not null,
	constraint auth_user_group_pkey primary key (group_uuid, user_uuid),
	constraint auth_user_group_group_uuid_fkey foreign key (group_uuid) references auth_group (uuid) on delete cascade,
	constraint auth_user_group_user_uuid_fkey foreign key (user_uuid) references auth_user (uuid) on delete cascade
);

create table auth_user_policy (
	user_uuid varchar(38) not null,
	policy_uuid varchar(38) not null,
	constraint auth_user_policy_pkey primary key (user_uuid, policy_uuid),
	constraint auth_user_policy_user_uuid_fkey foreign key (user_uuid) references auth_user (uuid) on delete cascade,
	constraint auth_user_policy_policy_uuid_fkey foreign key (policy_uuid) references auth_policy (uuid) on delete cascade
);

create table auth_external_auth_type (
	uuid varchar(38) not null default uuid_generate_v4(),
	name text not null,
	enabled boolean,
	constraint auth_external_auth_type_pkey primary key (uuid),
	constraint auth_external_auth_type_name_key unique (name)
);

create table auth_external_auth_config (
	type_uuid varchar(36) not null,
	tenant_uuid varchar(38) not null,
	data text not null,
	constraint auth_external_auth_config_pkey primary key (type_uuid, tenant_uuid),
	constraint auth_external_auth_config_type_uuid_fkey foreign key (type_uuid) references auth_external_auth_type (uuid) on delete cascade,
	constraint auth_external_auth_config_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
);
create index auth_external_auth_config__idx__type_uuid on auth_external_auth_config (type_uuid);

create table auth_user_external_auth (
	user_uuid varchar(38) not null,
	external_auth_type_uuid varchar(38) not null,
	data text not null,
	constraint auth_external_user_type_auth_constraint unique (user_uuid, external_auth_type_uuid),
	constraint auth_user_external_auth_user_uuid_fkey foreign key (user_uuid) references auth_user (uuid) on delete cascade,
	constraint auth_user_external_auth_external_auth_type_uuid_fkey foreign key (external_auth_type_uuid) references auth_external_auth_type (uuid) on delete cascade
);

create table auth_ldap_config (
	tenant_uuid varchar(38) not null,
	host varchar(512) not null,
	port integer not null,
	protocol_version smallint,
	protocol_security text,
	bind_dn varchar(256),
	bind_password text,
	user_base_dn varchar(256) not null,
	user_login_attribute varchar(64),
	user_email_attribute varchar(64),
	search_filters text,
	constraint auth_ldap_config_pkey primary key (tenant_uuid),
	constraint auth_ldap_config_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade,
	constraint auth_ldap_config_protocol_security_check check (protocol_security in ('ldaps', 'tls'))
);

create table auth_refresh_token (
	uuid varchar(36) not null default uuid_generate_v4(),
	client_id text,
	user_uuid varchar(36),
	backend text,
	login text,
	user_agent text,
	remote_addr text,
	created_at timestamp with time zone default now(),
	mobile boolean not null default false,
	metadata json not null default '{}',
	constraint auth_refresh_token_pkey primary key (uuid),
	constraint auth_refresh_token_client_id_user_uuid unique (client_id, user_uuid),
	constraint auth_refresh_token_user_uuid_fkey foreign key (user_uuid) references auth_user (uuid) on delete cascade
);
create index auth_refresh_token__idx__user_uuid on auth_refresh_token (user_uuid);

create table auth_session (
	uuid varchar(36) not null default uuid_generate_v4(),
	mobile boolean not null,
	tenant_uuid varchar(38) not null,
	constraint auth_session_pkey primary key (uuid),
	constraint auth_session_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade
);
create index auth_session__idx__tenant_uuid on auth_session (tenant_uuid);

create table auth_token (
	uuid varchar(38) not null default uuid_generate_v4(),
	auth_id text not null,
	pbx_user_uuid varchar(36),
	xivo_uuid varchar(38),
	issued_t integer,
	expire_t integer,
	metadata text,
	session_uuid varchar(36) not null,
	user_agent text default '',
	remote_addr text default '',
	acl text[] not null default '{}',
	refresh_token_uuid varchar(36),
	constraint auth_token_pkey primary key (uuid),
	constraint auth_token_session_uuid_fkey foreign key (session_uuid) references auth_session (uuid) on delete cascade,
	constraint auth_token_refresh_token_uuid_fkey foreign key (refresh_token_uuid) references auth_refresh_token (uuid) on delete set null
);
create index auth_token__idx__session_uuid on auth_token (session_uuid);

create table auth_saml_config (
	tenant_uuid varchar(38) not null,
	domain_uuid varchar(38) not null,
	entity_id varchar(512) not null,
	idp_metadata xml not null,
	acs_url varchar(512) not null,
	constraint auth_saml_config_pkey primary key (tenant_uuid, domain_uuid),
	constraint auth_saml_config_tenant_uuid_fkey foreign key (tenant_uuid) references auth_tenant (uuid) on delete cascade,
	constraint auth_saml_config_domain_uuid_fkey foreign key (domain_uuid) references auth_tenant_domain (uuid) on delete cascade
);

create table auth_saml_pysaml2_cache (
	name_id varchar(512) not null,
	entity_id varchar(1024) not null,
	info text not null,
	not_on_or_after integer not null,
	constraint auth_saml_pysaml2_cache_pkey primary key (name_id, entity_id)
);

create table auth_saml_session (
	request_id varchar(40) not null,
	session_id varchar(22) not null,
	redirect_url varchar(512) not null,
	domain varchar(512) not null,
	relay_state varchar(100) not null,
	login varchar(512),
	start_time timestamp with time zone default now(),
	saml_name_id text,
	refresh_token_uuid varchar(36),
	constraint auth_saml_session_pkey primary key (request_id, session_id),
	constraint auth_saml_session_refresh_token_uuid_fkey foreign key (refresh_token_uuid) references auth_refresh_token (uuid) on delete set null
);
