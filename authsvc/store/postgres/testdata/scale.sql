-- A large stack: 1 000 tenants in a tree that is six deep, 100 000 users with
-- addresses, 5 000 groups, 2 000 policies, and tokens. The tenant with index n
-- is below the one with index (n - 2) / 4 + 1; every tenth user is of one large
-- tenant (2). Keys are a kind (1 tenants, 2 groups, 3 policies, 4 users, 5
-- refresh tokens, 6 sessions, 8 tokens) and an index; see testdata/reference.sql.
--
-- Foreign keys hold by construction and are not looked at row by row.

set session_replication_role = replica;

create function pg_temp.id(kind int, n bigint) returns text language sql immutable as
	$$ select kind || '0000000-0000-4000-8000-' || lpad(n::text, 12, '0') $$;

truncate auth_tenant, auth_access restart identity cascade;

insert into auth_tenant (uuid, name, slug, parent_uuid)
select pg_temp.id(1, n), 'Tenant ' || n, 't' || n, pg_temp.id(1, case n when 1 then 1 else (n - 2) / 4 + 1 end)
from generate_series(1, 1000) n;
insert into auth_tenant_domain (tenant_uuid, name)
select pg_temp.id(1, n), 't' || n || '.example' from generate_series(1, 1000) n;
insert into auth_address (city, tenant_uuid)
select 'City ' || n, pg_temp.id(1, n) from generate_series(1, 1000, 2) n;

-- Group n ≤ 1000 has all users of tenant n, the others are of tenant n mod 1000.
insert into auth_group (uuid, name, slug, tenant_uuid, system_managed)
select pg_temp.id(2, n), name, name, tenant, n <= 1000
from generate_series(1, 5000) n,
	lateral (select pg_temp.id(1, (n - 1) % 1000 + 1)) t (tenant),
	lateral (select case when n <= 1000 then 'wazo-all-users-tenant-' || tenant else 'group-' || n end) s (name);

insert into auth_access (access) select 'service' || n % 20 || '.resource' || n || '.read' from generate_series(1, 400) n;
insert into auth_policy (uuid, name, slug, tenant_uuid, shared, config_managed)
select pg_temp.id(3, n), 'policy-' || n, 'policy-' || n, pg_temp.id(1, case when n <= 10 then 1 else (n - 1) % 1000 + 1 end), n % 14 = 0, n <= 10
from generate_series(1, 2000) n;
insert into auth_policy_access (policy_uuid, access_id)
select pg_temp.id(3, n), (n * 7 + k * 41) % 400 + 1 from generate_series(1, 2000) n, generate_series(1, 5) k;

insert into auth_user (uuid, username, firstname, lastname, password_hash, tenant_uuid, purpose)
select pg_temp.id(4, n), 'User-' || n, 'First' || n % 1000, 'Last' || n, 'x', pg_temp.id(1, case when n % 10 = 0 then 2 else (n - 1) % 1000 + 1 end), 'user'
from generate_series(1, 100000) n;
insert into auth_email (address, confirmed, main, user_uuid)
select 'User-' || n || '@Example.org', true, true, pg_temp.id(4, n) from generate_series(1, 100000) n;
insert into auth_user_group (group_uuid, user_uuid)
select pg_temp.id(2, case when n % 10 = 0 then 2 else (n - 1) % 1000 + 1 end), pg_temp.id(4, n) from generate_series(1, 100000) n
union all
select pg_temp.id(2, 1001 + n % 4000), pg_temp.id(4, n) from generate_series(1, 100000, 2) n;
insert into auth_user_policy (user_uuid, policy_uuid)
select pg_temp.id(4, n), pg_temp.id(3, n % 2000 + 1) from generate_series(1, 100000, 4) n;
insert into auth_group_policy (group_uuid, policy_uuid)
select pg_temp.id(2, n), pg_temp.id(3, n % 2000 + 1) from generate_series(1001, 5000) n
union all
select pg_temp.id(2, n), pg_temp.id(3, 1) from generate_series(1, 1000) n;

insert into auth_refresh_token (uuid, client_id, user_uuid, login)
select pg_temp.id(5, n), 'client', pg_temp.id(4, n), 'user-' || n from generate_series(1, 20000) n;
insert into auth_session (uuid, mobile, tenant_uuid)
select pg_temp.id(6, n), false, pg_temp.id(1, n % 1000 + 1) from generate_series(1, 50000) n;
insert into auth_token (uuid, auth_id, session_uuid, expire_t, refresh_token_uuid)
select pg_temp.id(8, n), pg_temp.id(4, n % 20000 + 1), pg_temp.id(6, n), 1000 + n, case when n % 3 = 0 then pg_temp.id(5, n % 20000 + 1) end
from generate_series(1, 50000) n;

set session_replication_role = origin;
analyze;
