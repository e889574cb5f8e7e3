-- Functions take their triggers with them.
drop function if exists xivo_edge_tokens_ended() cascade;
drop function if exists xivo_edge_tokens_changed() cascade;
drop function if exists xivo_edge_users_changed() cascade;
drop function if exists xivo_edge_tenants_changed() cascade;
drop function if exists xivo_edge_everything() cascade;
drop function if exists xivo_edge_announce(text, text[]);
drop table if exists xivo_edge_revocation;
drop table if exists xivo_edge_state;
