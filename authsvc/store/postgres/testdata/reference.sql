-- What the Python service leaves after some years of use: three tenants,
-- users of every purpose, rows older than some of their columns, policies
-- synchronised from its configuration, tokens alive and expired. Rows are
-- written as its DAOs write them: uuids and ids come from the defaults unless
-- something here refers to them.

truncate auth_tenant, auth_access restart identity cascade;

insert into auth_tenant (uuid, name, slug, parent_uuid, default_authentication_method) values
	('10000000-0000-4000-8000-000000000001', 'master', 'master', '10000000-0000-4000-8000-000000000001', 'native'),
	('10000000-0000-4000-8000-000000000002', 'ACME & Söhne', 'acme', '10000000-0000-4000-8000-000000000001', 'ldap'),
	('10000000-0000-4000-8000-000000000003', null, 'b0x', '10000000-0000-4000-8000-000000000002', 'native');
insert into auth_address (line_1, city, country, tenant_uuid) values
	('1, rue de l''Église', 'Québec', 'Canada', '10000000-0000-4000-8000-000000000002');
insert into auth_tenant_domain (tenant_uuid, name) values ('10000000-0000-4000-8000-000000000002', 'acme.example');

insert into auth_group (uuid, name, slug, tenant_uuid, system_managed)
select replace(uuid, '1000000', '2000000'), 'wazo-all-users-tenant-' || uuid, 'wazo-all-users-tenant-' || uuid, uuid, true
from auth_tenant;
insert into auth_group (uuid, name, slug, tenant_uuid) values
	('20000000-0000-4000-8000-000000000010', 'wazo_default_admin_group', 'wazo_default_admin_group', '10000000-0000-4000-8000-000000000002'),
	('20000000-0000-4000-8000-000000000011', 'Süpport team', 'Spport_team', '10000000-0000-4000-8000-000000000002');

insert into auth_access (access) values
	('#'), ('confd.users.me.read'), ('calld.users.me.calls.#'), ('auth.#'), ('dird.directories.search.{profile}.read'),
	('!auth.users.*.delete'), ('gone.from.every.policy');
insert into auth_policy (uuid, name, slug, tenant_uuid, description, config_managed, shared) values
	('30000000-0000-4000-8000-000000000001', 'wazo_default_master_user_policy', 'wazo_default_master_user_policy', '10000000-0000-4000-8000-000000000001', 'x', false, false),
	('30000000-0000-4000-8000-000000000002', 'wazo_default_user_policy', 'wazo_default_user_policy', '10000000-0000-4000-8000-000000000001', 'Automatically created', true, true),
	('30000000-0000-4000-8000-000000000003', 'wazo_default_admin_policy', 'wazo_default_admin_policy', '10000000-0000-4000-8000-000000000001', 'Automatically created', true, true),
	('30000000-0000-4000-8000-000000000004', 'Süpport', 'Spport', '10000000-0000-4000-8000-000000000002', null, null, false);
insert into auth_policy_access (policy_uuid, access_id)
select p.uuid, a.id from auth_policy p join auth_access a on (p.slug, a.access) in (
	('wazo_default_master_user_policy', '#'),
	('wazo_default_user_policy', 'confd.users.me.read'),
	('wazo_default_user_policy', 'calld.users.me.calls.#'),
	('wazo_default_admin_policy', 'auth.#'),
	('Spport', 'dird.directories.search.{profile}.read'),
	('Spport', '!auth.users.*.delete'));
insert into auth_group_policy (group_uuid, policy_uuid) values
	('20000000-0000-4000-8000-000000000010', '30000000-0000-4000-8000-000000000003'),
	('20000000-0000-4000-8000-000000000011', '30000000-0000-4000-8000-000000000004'),
	('20000000-0000-4000-8000-000000000002', '30000000-0000-4000-8000-000000000002');

-- The second was disabled before the column existed and reads NULL, the third
-- comes from LDAP and has no password, the fourth no username.
insert into auth_user (uuid, username, password_hash, password_salt, firstname, lastname, enabled, tenant_uuid, purpose, authentication_method) values
	('40000000-0000-4000-8000-000000000001', 'wazo-auth-cli', '878c7e9b', '\x000102ff', null, null, true, '10000000-0000-4000-8000-000000000001', 'internal', 'native'),
	('40000000-0000-4000-8000-000000000002', 'Older', 'aa', '\x00', null, null, null, '10000000-0000-4000-8000-000000000002', 'user', 'default'),
	('40000000-0000-4000-8000-000000000003', 'Élodie', null, null, 'Élodie', 'O''Hara', true, '10000000-0000-4000-8000-000000000002', 'user', 'default'),
	('40000000-0000-4000-8000-000000000004', null, 'bb', '\x01', '', '', true, '10000000-0000-4000-8000-000000000003', 'external_api', 'default');
insert into auth_email (address, confirmed, main, user_uuid) values
	('Elodie@acme.example', true, true, '40000000-0000-4000-8000-000000000003'),
	('pending@acme.example', false, false, '40000000-0000-4000-8000-000000000003'),
	('api@b0x.example', true, true, '40000000-0000-4000-8000-000000000004');
update auth_tenant set contact_uuid = '40000000-0000-4000-8000-000000000003' where slug = 'acme';
insert into auth_user_group (user_uuid, group_uuid)
select u.uuid, g.uuid from auth_user u join auth_group g on g.tenant_uuid = u.tenant_uuid and g.system_managed;
insert into auth_user_group (user_uuid, group_uuid) values
	('40000000-0000-4000-8000-000000000003', '20000000-0000-4000-8000-000000000010'),
	('40000000-0000-4000-8000-000000000003', '20000000-0000-4000-8000-000000000011');
insert into auth_user_policy (user_uuid, policy_uuid) values
	('40000000-0000-4000-8000-000000000001', '30000000-0000-4000-8000-000000000001'),
	('40000000-0000-4000-8000-000000000003', '30000000-0000-4000-8000-000000000002');

insert into auth_external_auth_type (uuid, name, enabled) values ('70000000-0000-4000-8000-000000000001', 'google', null);
insert into auth_user_external_auth values ('40000000-0000-4000-8000-000000000003', '70000000-0000-4000-8000-000000000001', '{"token": 1}');
insert into auth_ldap_config (tenant_uuid, host, port, user_base_dn) values ('10000000-0000-4000-8000-000000000002', 'ldap.acme.example', 389, 'dc=acme');
insert into auth_refresh_token (uuid, client_id, user_uuid, backend, login, mobile) values
	('50000000-0000-4000-8000-000000000001', 'phone', '40000000-0000-4000-8000-000000000003', 'wazo_user', 'elodie@acme.example', true);

-- One alive, issued offline; one alive of a user who is gone; two expired;
-- one internal and expired; one from a release before user_agent.
insert into auth_session (uuid, mobile, tenant_uuid)
select '60000000-0000-4000-8000-00000000000' || n, n = 1, '10000000-0000-4000-8000-000000000002'
from generate_series(1, 6) n;
insert into auth_token (uuid, auth_id, pbx_user_uuid, xivo_uuid, issued_t, expire_t, metadata, session_uuid, user_agent, remote_addr, acl, refresh_token_uuid) values
	('80000000-0000-4000-8000-000000000001', '40000000-0000-4000-8000-000000000003', '40000000-0000-4000-8000-000000000003', '90000000-0000-4000-8000-000000000001', 2000000000, 2000007200,
		'{"uuid": "40000000-0000-4000-8000-000000000003", "tenant_uuid": "10000000-0000-4000-8000-000000000002", "admin": true}',
		'60000000-0000-4000-8000-000000000001', 'Dart/2.1 (dart:io)', '192.0.2.7', '{confd.users.me.read,"dird.directories.search.{profile}.read",confd.users.me.read}', '50000000-0000-4000-8000-000000000001'),
	('80000000-0000-4000-8000-000000000002', '40000000-0000-4000-8000-00000000dead', null, null, 2000000000, 2000007200, '{}', '60000000-0000-4000-8000-000000000002', '', '', default, null),
	('80000000-0000-4000-8000-000000000003', '40000000-0000-4000-8000-000000000004', null, null, 1500000000, 1500007200, null, '60000000-0000-4000-8000-000000000003', '', '', '{}', null),
	('80000000-0000-4000-8000-000000000004', '40000000-0000-4000-8000-000000000003', null, null, 1400000000, 1400007200, null, '60000000-0000-4000-8000-000000000004', '', '', '{}', null),
	('80000000-0000-4000-8000-000000000005', 'wazo-auth', null, null, 1600000000, 1600007200, '{}', '60000000-0000-4000-8000-000000000005', 'wazo-auth-email-reset', '', '{auth.users.password.reset.x.create}', null),
	('80000000-0000-4000-8000-000000000006', '40000000-0000-4000-8000-000000000001', null, null, null, null, null, '60000000-0000-4000-8000-000000000006', null, null, '{NULL,#,NULL}', null);
