-- The revocation log; see ../postgres/log.sql. One transaction writes at a
-- time here, so entries become visible in the order of their numbers.

create table if not exists xivo_edge_revocation (
	pos integer primary key autoincrement,
	at text not null default (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'),
	kind text not null,
	ids text not null default ''
);
create index if not exists xivo_edge_revocation_at on xivo_edge_revocation (at);

create table if not exists xivo_edge_state (
	one integer primary key check (one = 1),
	version integer not null,
	pruned integer not null default 0
);

-- A log that is removed and made anew numbers its entries from the start: its
-- id tells its numbers from those of the old one.
create table if not exists xivo_edge_history (
	one integer primary key check (one = 1),
	id text not null
);
insert into xivo_edge_history (one, id) values (1, lower(hex(randomblob(16)))) on conflict do nothing;

drop trigger if exists xivo_edge_ended;
create trigger xivo_edge_ended after delete on auth_token
when old.expire_t is null or old.expire_t >= cast(strftime('%s', 'now') as integer)
begin
	insert into xivo_edge_revocation (kind, ids) values ('ended', old.uuid);
end;

drop trigger if exists xivo_edge_changed;
create trigger xivo_edge_changed after update on auth_token
when (old.uuid, old.auth_id, old.pbx_user_uuid, old.xivo_uuid, old.issued_t, old.expire_t, old.metadata, old.session_uuid, old.acl)
	is not (new.uuid, new.auth_id, new.pbx_user_uuid, new.xivo_uuid, new.issued_t, new.expire_t, new.metadata, new.session_uuid, new.acl)
begin
	insert into xivo_edge_revocation (kind, ids) values ('changed', old.uuid);
end;

drop trigger if exists xivo_edge_deleted;
create trigger xivo_edge_deleted after delete on auth_user
begin
	insert into xivo_edge_revocation (kind, ids) values ('users', old.uuid);
end;

drop trigger if exists xivo_edge_moved;
create trigger xivo_edge_moved after update on auth_user
when (old.uuid, old.tenant_uuid) is not (new.uuid, new.tenant_uuid)
begin
	insert into xivo_edge_revocation (kind, ids) values ('users', old.uuid);
end;

drop trigger if exists xivo_edge_tenants_inserted;
create trigger xivo_edge_tenants_inserted after insert on auth_tenant
begin
	insert into xivo_edge_revocation (kind) values ('tenants');
end;

drop trigger if exists xivo_edge_tenants_updated;
create trigger xivo_edge_tenants_updated after update on auth_tenant
when (old.uuid, old.parent_uuid, old.slug) is not (new.uuid, new.parent_uuid, new.slug)
begin
	insert into xivo_edge_revocation (kind) values ('tenants');
end;

drop trigger if exists xivo_edge_tenants_deleted;
create trigger xivo_edge_tenants_deleted after delete on auth_tenant
begin
	insert into xivo_edge_revocation (kind) values ('tenants');
end;
