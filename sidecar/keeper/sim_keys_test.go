package keeper_test

// The keys and fields of memcached that the simulation writes or reads.
const (
	recordKey  = simAppID + ":record"
	leaseKey   = simAppID + ":lease"
	plannedKey = simAppID + ":planned"
	budgetKey  = simAppID + ":budget"
	doubtField = "doubt"
)
