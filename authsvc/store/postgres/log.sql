-- The revocation log, beside the historical schema: what ended early, whoever
-- ended it. Everything here is named xivo_edge_… and goes with log_drop.sql.
--
-- The triggers run in the transactions of every program that writes, so they
-- look at statements rather than rows, and fail for no reason of their own:
-- with the rights of who installed them, and on the tables as they were found
-- then, whatever search_path the writer has.

create table if not exists xivo_edge_revocation (
	-- The transaction, not a sequence: entries become visible in the order of
	-- commits, and only this tells which may still be missing.
	pos bigint not null default txid_current(),
	at timestamptz not null default clock_timestamp(),
	kind text not null,
	ids text not null default ''
);
create index if not exists xivo_edge_revocation_pos on xivo_edge_revocation (pos);
create index if not exists xivo_edge_revocation_at on xivo_edge_revocation (at);

create table if not exists xivo_edge_state (
	one boolean primary key check (one),
	version int not null,
	pruned bigint not null default 0 -- the newest pos that was pruned
);

-- A notification holds less than 8000 bytes: two hundred uuids. It names the
-- transaction, as pos does: what a replica must have replayed (ADR 9).
create or replace function xivo_edge_announce(what text, subjects text[]) returns void
language plpgsql security definer set search_path from current as $$
declare
	part text;
begin
	if subjects is null then
		return;
	end if;
	for i in 0 .. greatest(cardinality(subjects) - 1, 0) / 200 loop
		part := coalesce(array_to_string(subjects[i * 200 + 1 : i * 200 + 200], ' '), '');
		insert into xivo_edge_revocation (kind, ids) values (what, part);
		perform pg_notify('xivo_edge', what || ' ' || txid_current() || ' ' || part);
	end loop;
end $$;

-- Tokens that had expired anyway are not told: a purge removes thousands.
create or replace function xivo_edge_tokens_ended() returns trigger
language plpgsql security definer set search_path from current as $$
begin
	perform xivo_edge_announce('ended', (
		select array_agg(uuid::text) from gone
		where expire_t is null or expire_t >= floor(extract(epoch from clock_timestamp()))
	));
	return null;
end $$;

create or replace function xivo_edge_tokens_changed() returns trigger
language plpgsql security definer set search_path from current as $$
begin
	perform xivo_edge_announce('changed', (
		select array_agg(distinct uuid::text) from (
			select uuid, auth_id, pbx_user_uuid, xivo_uuid, issued_t, expire_t, metadata, session_uuid, acl from gone
			except
			select uuid, auth_id, pbx_user_uuid, xivo_uuid, issued_t, expire_t, metadata, session_uuid, acl from come
		) as changed
	));
	return null;
end $$;

create or replace function xivo_edge_users_changed() returns trigger
language plpgsql security definer set search_path from current as $$
begin
	if tg_op = 'DELETE' then
		perform xivo_edge_announce('users', (select array_agg(uuid::text) from gone));
	else
		perform xivo_edge_announce('users', (
			select array_agg(uuid::text) from (select uuid, tenant_uuid from gone except select uuid, tenant_uuid from come) as moved
		));
	end if;
	return null;
end $$;

-- Contacts and telephone numbers are not told. Each branch is planned when it is
-- reached, and names only the rows its event has.
create or replace function xivo_edge_tenants_changed() returns trigger
language plpgsql security definer set search_path from current as $$
declare
	other boolean;
begin
	if tg_op = 'INSERT' then
		other := exists (select from come);
	elsif tg_op = 'DELETE' then
		other := exists (select from gone);
	else
		other := exists (select uuid, parent_uuid, slug from gone except select uuid, parent_uuid, slug from come);
	end if;
	if other then
		perform xivo_edge_announce('tenants', '{}');
	end if;
	return null;
end $$;

create or replace function xivo_edge_everything() returns trigger
language plpgsql security definer set search_path from current as $$
begin
	perform xivo_edge_announce('everything', '{}');
	return null;
end $$;

drop trigger if exists xivo_edge_ended on auth_token;
create trigger xivo_edge_ended after delete on auth_token
	referencing old table as gone for each statement execute function xivo_edge_tokens_ended();
drop trigger if exists xivo_edge_changed on auth_token;
create trigger xivo_edge_changed after update on auth_token
	referencing old table as gone new table as come for each statement execute function xivo_edge_tokens_changed();
drop trigger if exists xivo_edge_emptied on auth_token;
create trigger xivo_edge_emptied after truncate on auth_token
	for each statement execute function xivo_edge_everything();

drop trigger if exists xivo_edge_deleted on auth_user;
create trigger xivo_edge_deleted after delete on auth_user
	referencing old table as gone for each statement execute function xivo_edge_users_changed();
drop trigger if exists xivo_edge_moved on auth_user;
create trigger xivo_edge_moved after update on auth_user
	referencing old table as gone new table as come for each statement execute function xivo_edge_users_changed();
drop trigger if exists xivo_edge_emptied on auth_user;
create trigger xivo_edge_emptied after truncate on auth_user
	for each statement execute function xivo_edge_everything();

drop trigger if exists xivo_edge_added on auth_tenant;
create trigger xivo_edge_added after insert on auth_tenant
	referencing new table as come for each statement execute function xivo_edge_tenants_changed();
drop trigger if exists xivo_edge_deleted on auth_tenant;
create trigger xivo_edge_deleted after delete on auth_tenant
	referencing old table as gone for each statement execute function xivo_edge_tenants_changed();
drop trigger if exists xivo_edge_moved on auth_tenant;
create trigger xivo_edge_moved after update on auth_tenant
	referencing old table as gone new table as come for each statement execute function xivo_edge_tenants_changed();
drop trigger if exists xivo_edge_emptied on auth_tenant;
create trigger xivo_edge_emptied after truncate on auth_tenant
	for each statement execute function xivo_edge_everything();
