package sqlstore

import "fmt"

const sqlPing = `select 1`

// statements are all statements in the dialect's form.
type statements struct {
	ping string

	token string

	credentials, userByName, hasUsers, listUsers, setPassword               string
	home, loginTaken, insertUser, insertEmail, insertMember, insertPolicies string

	userAccesses, tenantTree string

	refreshCredentials, mayLogIn, countSessions, insertRefresh, replacedRefresh string
	refreshTokens, deleteSessions, deleteRefreshTokens, isAdmin                 string
	deleteRefresh, sessionTokens, deleteSession                                 string
	userByUUID, userTokens, userRefreshTokens, setEnabled, deleteUser           string

	listTables, revision string

	logVersion, logStamp, logEnd, logRead, logPruned, logPrune string
}

func rebind(d Dialect) statements {
	return statements{
		ping: d.Rebind(sqlPing),

		token: d.Rebind(sqlToken),

		credentials: d.Rebind(sqlCredentials),
		userByName:  d.Rebind(sqlUserByName),
		hasUsers:    d.Rebind(sqlHasUsers),
		listUsers:   d.Rebind(sqlListUsers),
		setPassword: d.Rebind(sqlSetPassword),

		home:           d.Rebind(sqlHome),
		loginTaken:     d.Rebind(sqlLoginTaken),
		insertUser:     d.Rebind(sqlInsertUser),
		insertEmail:    d.Rebind(sqlInsertEmail),
		insertMember:   d.Rebind(sqlInsertMember),
		insertPolicies: d.Rebind(sqlInsertPolicies),

		userAccesses: d.Rebind(sqlUserAccesses),
		tenantTree:   d.Rebind(sqlTenantTree),

		refreshCredentials:  d.Rebind(sqlRefreshCredentials),
		mayLogIn:            d.Rebind(sqlMayLogIn),
		countSessions:       d.Rebind(sqlCountSessions),
		insertRefresh:       d.Rebind(sqlInsertRefresh),
		replacedRefresh:     d.Rebind(sqlReplacedRefresh),
		refreshTokens:       d.Rebind(sqlRefreshTokens),
		deleteSessions:      d.Rebind(sqlDeleteSessions),
		deleteRefreshTokens: d.Rebind(sqlDeleteRefreshTokens),
		isAdmin:             d.Rebind(sqlIsAdmin),

		deleteRefresh: d.Rebind(sqlDeleteRefresh),
		sessionTokens: d.Rebind(sqlSessionTokens),
		deleteSession: d.Rebind(sqlDeleteSession),

		userByUUID:        d.Rebind(sqlUserByUUID),
		userTokens:        d.Rebind(sqlUserTokens),
		userRefreshTokens: d.Rebind(sqlUserRefreshTokens),
		setEnabled:        d.Rebind(sqlSetEnabled),
		deleteUser:        d.Rebind(sqlDeleteUser),

		listTables: d.Rebind(d.ListTables()),
		revision:   d.Rebind(sqlRevision),

		logVersion: d.Rebind(sqlLogVersion),
		logStamp:   d.Rebind(sqlLogStamp),
		logEnd:     fmt.Sprintf(sqlLogEnd, d.LogEnd()),
		logRead:    d.Rebind(fmt.Sprintf(sqlLogRead, d.LogEnd())),
		logPruned:  d.Rebind(sqlLogPruned),
		logPrune:   d.Rebind(sqlLogPrune),
	}
}
