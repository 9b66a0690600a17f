# Reads `go test -v ./...`, shows what a person wants of it: one line per package, a failed package's whole output,
# every skipped test, and the count as the last line. Exits 1 if a test failed, was skipped, or none ran.
# What it reads is one package after the other, because go test itself sorts it so.

# A test that leaves its own output unfinished has its verdict at that line's end, so no ^ here.
/--- PASS: /  { passed++ }
/--- FAIL: /  { failed++ }
/--- SKIP: /  { skipped++; skips = skips "skipped, which counts as a failure: " $0 "\n" }

/^ok[ \t]/ || /\[no test files\]$/ { print; fflush(); n = 0; next }
/^FAIL\tgo test$/ { died = 1; next } # the Makefile's word for its exit status
/^FAIL[ \t]/ {
	for (i = 0; i < n; i++) print held[i]
	print; fflush(); n = 0; broken++; next
}
/^(=== (RUN|PAUSE|CONT|NAME)|PASS$|[ \t]*--- PASS: )/ { next }
{ held[n++] = $0 }

END {
	for (i = 0; i < n; i++) print held[i] # go test died: nobody closed this package
	printf "%s", skips
	if (failed + 0 == 0) failed = broken > 0 ? broken : died # did not build, or died outside a test
	if (passed + failed + skipped == 0) print "no test ran"
	printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
	exit failed + skipped > 0 || passed + 0 == 0
}
