package hint

// Hints for a file that cannot be written.
var (
	Folder   = Hint{"check the folder of MIRROR_FILE", "请检查 MIRROR_FILE 所在的目录。"}
	Volume   = Hint{"make room on the volume of MIRROR_FILE: the file there is unchanged", "请清理 MIRROR_FILE 所在卷的空间；原有文件保持不变。"}
	Writable = Hint{
		"let the sidecar's user write into the folder of MIRROR_FILE (on Kubernetes: fsGroup of the pod, no readOnly at the mount)",
		"请允许 sidecar 的用户写入 MIRROR_FILE 所在的目录（Kubernetes：为 Pod 设置 fsGroup，挂载不要设为 readOnly）。",
	}
	Mounted = Hint{"bring the folder of MIRROR_FILE back, and check that its volume is still mounted", "请恢复 MIRROR_FILE 所在的目录，并确认该卷仍已挂载。"}
	Linked  = Hint{
		"create the file that MIRROR_FILE links to, or remove the link; a folder, a FIFO or a device cannot be the file",
		"请创建 MIRROR_FILE 链接指向的文件，或删除该链接；目标不能是目录、管道或设备。",
	}
	LinkedPart = Hint{
		"replace the link by a folder or file of the account: the part of MIRROR_FILE with {appid} cannot be a link",
		"MIRROR_FILE 中含 {appid} 的部分不能是链接，请换成该账号自己的目录或文件。",
	}
	InTheWay = Hint{"remove the folder at the path of MIRROR_FILE", "MIRROR_FILE 的位置上是一个目录，请将其删除。"}
)

// Hints for a database that takes no writes.
var (
	Database = Hint{
		"check that the database runs, the address in MIRROR_MYSQL_DSN, and the NetworkPolicy",
		"请确认数据库正在运行，并检查 MIRROR_MYSQL_DSN 中的地址和网络策略。",
	}
	DSNFile = Hint{"check the file of MIRROR_MYSQL_DSN_FILE; it is read again at the next attempt", "请检查 MIRROR_MYSQL_DSN_FILE 指向的文件；下次重试时会重新读取。"}
	Login   = Hint{
		"check user and password in MIRROR_MYSQL_DSN; MIRROR_MYSQL_DSN_FILE is read again at the next attempt",
		"请检查 MIRROR_MYSQL_DSN 中的用户名和密码；下次重试时会重新读取 MIRROR_MYSQL_DSN_FILE。",
	}
	HostDenied   = Hint{"allow the user of MIRROR_MYSQL_DSN to connect from this host", "请允许 MIRROR_MYSQL_DSN 中的用户从本主机连接。"}
	HostBlocked  = Hint{"unblock this host: FLUSH HOSTS", "本主机已被数据库封禁，请执行 FLUSH HOSTS。"}
	NoDatabase   = Hint{"create the database that MIRROR_MYSQL_DSN names", "请创建 MIRROR_MYSQL_DSN 中指定的数据库。"}
	BadParameter = Hint{"a parameter of MIRROR_MYSQL_DSN is not a variable of this server: remove it", "MIRROR_MYSQL_DSN 中有一个参数不是该数据库的变量，请删除。"}
	TLS          = Hint{
		"the DSN says how the database is trusted: tls=true with its CA in the folder of SSL_CERT_DIR, or tls=skip-verify, or no tls",
		"数据库证书不受信任，请在 DSN 中选择：tls=true（并将其 CA 放入 SSL_CERT_DIR 目录）、tls=skip-verify 或不用 tls。",
	}
	Grants = Hint{
		"GRANT SELECT, INSERT, UPDATE on the table of MIRROR_MYSQL_TABLE to this user, and CREATE if it does not exist yet",
		"请授予该用户对 MIRROR_MYSQL_TABLE 表的 SELECT、INSERT、UPDATE 权限；表不存在时还需要 CREATE。",
	}
	Columns = Hint{
		"the table of MIRROR_MYSQL_TABLE needs the columns id, type, expire and value; others need a default",
		"MIRROR_MYSQL_TABLE 表需要 id、type、expire、value 四个字段，其他字段需要默认值。",
	}
	DuplicateKey = Hint{
		"another row of the table of MIRROR_MYSQL_TABLE has this row's key: access_token has the id 1, jsapi_ticket 2",
		"MIRROR_MYSQL_TABLE 表中另一行占用了该行的键：access_token 的 id 为 1，jsapi_ticket 为 2。",
	}
	Wider = Hint{
		"the column is too short: ALTER TABLE … MODIFY `value` varchar(2048) NOT NULL",
		"字段太短，请加长：ALTER TABLE … MODIFY `value` varchar(2048) NOT NULL。",
	}
	TableName = Hint{"shorten MIRROR_MYSQL_TABLE", "请缩短 MIRROR_MYSQL_TABLE。"}
	DiskFull  = Hint{"make room on the database's disk", "请清理数据库的磁盘空间。"}
	Overload  = Hint{
		"the database has too many connections or too little memory: raise max_connections, or find what holds them",
		"数据库连接过多或内存不足：请调大 max_connections，或找出占用连接的程序。",
	}
	Locked  = Hint{"find the transaction that holds the table: SHOW FULL PROCESSLIST", "请找出锁住该表的事务：SHOW FULL PROCESSLIST。"}
	Replica = Hint{"name the primary in MIRROR_MYSQL_DSN: this server takes no writes", "该数据库只读，请在 MIRROR_MYSQL_DSN 中填写主库。"}
	Manual  = Hint{"look up the number in the database's manual", "请在数据库手册中查询该错误号。"}
)
