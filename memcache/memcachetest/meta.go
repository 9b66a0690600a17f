package memcachetest

import (
	"bytes"
	"strconv"
)

const (
	metaKnown = "vtfcksq"       // the supported flags of mg
	metaOther = "bhlOENTRIMVSC" // the other flags of memcached
)

// readMeta checks the flags of mg.
func readMeta(_ *request, words [][]byte) string {
	var seen [256]bool
	for _, flag := range words[1:] {
		switch {
		case seen[flag[0]]:
			return "CLIENT_ERROR duplicate flag\r\n"
		case bytes.IndexByte([]byte(metaKnown), flag[0]) >= 0:
			seen[flag[0]] = true
		case bytes.IndexByte([]byte(metaOther), flag[0]) >= 0:
			return "SERVER_ERROR memcachetest does not support this flag\r\n"
		default:
			return "CLIENT_ERROR invalid flag\r\n"
		}
	}
	return ""
}

// metaGet runs mg. The answer is "VA <size> <flags>" and the value with the flag v, else
// "HD <flags>". A miss is "EN", or nothing with the flag q.
func metaGet(st *store, r *request, out []byte) []byte {
	flags := r.args[2:]
	e := st.find(r.key)
	tally(e != nil, &st.counters.getHits, &st.counters.getMisses)
	if e == nil {
		return metaMiss(r.key, flags, out)
	}
	withValue := metaHas(flags, 'v')
	if withValue {
		out = append(out, "VA "...)
		out = strconv.AppendInt(out, int64(len(e.value)), 10)
	} else {
		out = append(out, "HD"...)
	}
	for _, flag := range flags {
		switch flag[0] {
		case 'c':
			out = strconv.AppendUint(append(out, " c"...), e.cas, 10)
		case 'f':
			out = strconv.AppendUint(append(out, " f"...), uint64(e.flags), 10)
		case 'k':
			out = append(append(out, " k"...), r.key...)
		case 's':
			out = strconv.AppendInt(append(out, " s"...), int64(len(e.value)), 10)
		case 't':
			left := int64(-1)
			if e.expires != 0 {
				left = e.expires - st.clock()
			}
			out = strconv.AppendInt(append(out, " t"...), left, 10)
		}
	}
	out = append(out, "\r\n"...)
	if withValue {
		out = append(out, e.value...)
		out = append(out, "\r\n"...)
	}
	return out
}

// metaMiss answers for a key that is not there.
func metaMiss(key []byte, flags [][]byte, out []byte) []byte {
	if metaHas(flags, 'q') {
		return out
	}
	out = append(out, "EN"...)
	if metaHas(flags, 'k') {
		out = append(append(out, " k"...), key...)
	}
	return append(out, "\r\n"...)
}

func metaHas(flags [][]byte, wanted byte) bool {
	for _, flag := range flags {
		if flag[0] == wanted {
			return true
		}
	}
	return false
}

func metaNoop(_ *store, _ *request, out []byte) []byte {
	return append(out, "MN\r\n"...)
}
