// Package mirror keeps what memcached holds in two other places too, so that PHP
// programs written for them go on as they are: a class that WeChat developers have
// copied for years keeps its token in a file or in a MySQL table, and fetches one
// from WeChat where time() is more than 3600 s past the time that stands beside it.
//
//   - The file: {"access_token":"…","expires_time":N}
//   - The table: a row per kind, (id, type, expire, value): 1, access_token and 2,
//     jsapi_ticket
//
// # What it promises
//
//  1. Such a program has no reason to fetch while a sidecar lives: expires_time and
//     expire are the credential's death minus 3660 s, so its own rule first fires a
//     minute before the death, and the next credential comes an hour before that.
//     A file that somebody removed or wrote over is back within 15 s, a row within a
//     minute.
//  2. Nothing waits for a mirror: Changed returns at once, whatever disk and
//     database do. Only the newest credential of a kind is kept to be written.
//  3. The file is never half written, whoever is killed: it is renamed into place.
//  4. A row never goes from a newer credential to an older one, and is never made
//     twice, however many sidecars write and whether or not the table has a key.
//  5. A mirror that fails is told of: State, and one line of log per outage and
//     reason, each with what to do. It is tried again after 1, 2, 4 … 60 s.
//  6. Neither a credential nor the database's password is in a log or an error.
//
// # A renewal's journey
//
//  1. The keeper tells Changed. The credential takes the place of one that still
//     waits (queue.go).
//  2. Each sidecar writes its own file, and looks every 15 s whether it is still there
//     (file.go).
//  3. The sidecar that fetched the credential writes the row, with one statement, and
//     looks once a minute whether it is still there (table.go). The others look some
//     seconds after the renewal whether it did. Each mends a row that is missing or
//     older.
package mirror
