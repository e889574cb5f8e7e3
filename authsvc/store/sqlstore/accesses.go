package sqlstore

import "context"

const (
	// The ones that are there are looked for first: "on conflict" alone uses up
	// a number of the sequence for each, which is an int4. Ordered, so that two
	// who add the same wait for each other and do not deadlock.
	sqlKnowAccesses = `
insert into auth_access (access)
select distinct w.value from unnest(cast($1 as text[])) as w (value)
where not exists (select 1 from auth_access a where a.access = w.value)
order by w.value
on conflict do nothing`

	sqlDropAccesses = `
delete from auth_policy_access
where policy_uuid = $1 and access_id not in (select a.id from auth_access a where a.access = any($2))`

	sqlAddAccesses = `
insert into auth_policy_access (policy_uuid, access_id)
select cast($1 as text), a.id from auth_access a
where a.access = any($2)
	and not exists (select 1 from auth_policy_access pa where pa.policy_uuid = cast($1 as text) and pa.access_id = a.id)`
)

// setAccesses makes acl the accesses of a policy, without touching those that
// stay, and returns how many came and went. The dictionary of accesses only
// grows, as the reference's does.
func (s *Store) setAccesses(ctx context.Context, q statement, policyUUID string, acl []string) (changed int64, err error) {
	list := s.dialect.List(acl)
	if _, err := q.exec(ctx, sqlKnowAccesses, list); err != nil {
		return 0, err
	}
	dropped, err := q.exec(ctx, sqlDropAccesses, policyUUID, list)
	if err != nil {
		return 0, err
	}
	added, err := q.exec(ctx, sqlAddAccesses, policyUUID, list)
	return dropped + added, err
}
