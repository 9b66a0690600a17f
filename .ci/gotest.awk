# Summarizes `go test -v ./...`: one line per package, the whole output of a failed package, every skipped test, and the
# count as the last line. Exits 1 if a test failed, was skipped, or none ran. go test prints one package after the other.

# No ^: if a test's last line has no newline, the verdict follows it.
/--- PASS: /  { passed++ }
/--- FAIL: /  { failed++ }
/--- SKIP: /  { skipped++; skips = skips "skipped, which counts as a failure: " $0 "\n" }

/^ok[ \t]/ || /\[no test files\]$/ { print; fflush(); n = 0; next }
/^FAIL\tgo test$/ { crashed = 1; next } # from the Makefile: go test failed
/^FAIL[ \t]/ {
	for (i = 0; i < n; i++) print held[i]
	print; fflush(); n = 0; broken++; next
}
/^(=== (RUN|PAUSE|CONT|NAME)|PASS$|[ \t]*--- PASS: )/ { next }
{ held[n++] = $0 }

END {
	for (i = 0; i < n; i++) print held[i] # go test ended early
	printf "%s", skips
	if (failed + 0 == 0) failed = broken > 0 ? broken : crashed # did not build, or crashed outside a test
	if (passed + failed + skipped == 0) print "no test ran"
	printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
	exit failed + skipped > 0 || passed + 0 == 0
}
