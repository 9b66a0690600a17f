package mirror

// What to do about a failure. A page in another language translates them whole.
const (
	hintFolder   = "check the folder of MIRROR_FILE"
	hintVolume   = "make room on the volume of MIRROR_FILE: the file there stays as it was"
	hintWritable = "let the sidecar's user write into the folder of MIRROR_FILE (on Kubernetes: fsGroup of the pod, no readOnly at the mount)"
	hintMounted  = "bring the folder of MIRROR_FILE back: is its volume still mounted?"
	hintInTheWay = "remove the folder that stands where MIRROR_FILE should"

	hintServer    = "check that the database runs, the address in MIRROR_MYSQL_DSN, and the NetworkPolicy"
	hintDSN       = "check the file of MIRROR_MYSQL_DSN_FILE; it is read again at the next try"
	hintLogin     = "check user and password in MIRROR_MYSQL_DSN; MIRROR_MYSQL_DSN_FILE is read again at the next try"
	hintHost      = "allow the user of MIRROR_MYSQL_DSN to come from this host"
	hintBlocked   = "unblock this host: FLUSH HOSTS"
	hintDatabase  = "create the database that MIRROR_MYSQL_DSN names"
	hintParameter = "a parameter of MIRROR_MYSQL_DSN is no variable of this server"
	hintTLS       = "the DSN says how the database is trusted: tls=true with its CA in the folder of SSL_CERT_DIR, or tls=skip-verify, or no tls"
	hintGrants    = "GRANT SELECT, INSERT, UPDATE on the table of MIRROR_MYSQL_TABLE to this user, and CREATE where it is not there yet"
	hintColumns   = "the table of MIRROR_MYSQL_TABLE needs the columns id, type, expire and value; others need a default"
	hintKey       = "another row of the table of MIRROR_MYSQL_TABLE has this row's key: access_token has the id 1, jsapi_ticket 2"
	hintWider     = "make room for what is longer: ALTER TABLE … MODIFY `value` varchar(2048) NOT NULL"
	hintName      = "shorten MIRROR_MYSQL_TABLE"
	hintRoom      = "make room on the database's disk"
	hintLoad      = "the database has too many connections or too little memory: raise max_connections, or find who holds them"
	hintLocked    = "find the transaction that holds the table: SHOW FULL PROCESSLIST"
	hintReplica   = "name the primary in MIRROR_MYSQL_DSN: this server takes no writes"
	hintManual    = "look the number up in the database's manual"

	hintFault = "report it as a fault of wxsidecar"
)

// Hints are all that State may hold.
var Hints = []string{
	hintFolder, hintVolume, hintWritable, hintMounted, hintInTheWay,
	hintServer, hintDSN, hintLogin, hintHost, hintBlocked, hintDatabase, hintParameter, hintTLS, hintGrants, hintColumns, hintKey,
	hintWider, hintName, hintRoom, hintLoad, hintLocked, hintReplica, hintManual,
	hintFault,
}
