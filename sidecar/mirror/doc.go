// Package mirror copies credentials from the sidecar to two other places, so that
// legacy PHP programs can continue unchanged. Such a program uses a class that WeChat
// developers have copied for years. The class keeps its token in a file or in a MySQL
// table. It requests a token from WeChat once time() is more than 3600 s past the time
// stored beside the token.
//
//   - The file: {"access_token":"…","expires_time":N}
//   - The table: one row for each kind, (id, type, expire, value): 1, access_token and
//     2, jsapi_ticket
//
// # What it promises
//
//  1. A legacy program has no reason to request a token while a sidecar runs.
//     expires_time and expire are the credential's expiry minus 3660 s, so the class's
//     own rule applies one minute before the expiry. The next credential arrives an
//     hour before that. A file that was removed or overwritten is repaired within 15 s,
//     a row within a minute.
//  2. Nothing waits for a mirror. Changed returns at once, whatever the disk and the
//     database do. Only the newest credential of a kind waits to be written.
//  3. The file is never half written, even if the writer is killed: it is renamed into
//     place. A FIFO or a huge file there is replaced. If the file is a link, the link
//     stays, and what it links to at that time is replaced. A link to nothing is
//     reported, and so is a link as the part of the path with the AppID.
//  4. A row never changes from a newer credential to an older one, and is never
//     inserted twice. This holds for any number of sidecars, and for tables without a
//     key.
//  5. A failing mirror is reported by State, and by one log line for each outage and
//     reason, each with a hint. It is retried after 1, 2, 4 … 60 s.
//  6. No log line and no error contains a credential or the database's password.
//
// # The journey of a renewal
//
//  1. The keeper calls Changed. The credential replaces one that still waits
//     (queue.go).
//  2. Each sidecar writes its own file, and checks it every 15 s (file.go).
//  3. The sidecar that renewed the credential writes the row, with one statement, and
//     checks it once a minute (table.go). The other sidecars check it some seconds
//     after the renewal. Each repairs a missing or older row.
package mirror
