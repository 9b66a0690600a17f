package web

// Types of metric families.
const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

// family is one metric family.
type family struct{ name, kind, help string }

// families are all families in the order of /metrics. Those before wxsidecar_accounts
// have the labels appid and kind, one series for each credential. No other label grows.
var families = []family{
	{"wxsidecar_credential_valid", gauge, "1 if there is a valid credential, published or not."},
	{"wxsidecar_credential_published", gauge, "1 if memcached held the credential at the last poll."},
	{"wxsidecar_credential_age_seconds", gauge, "Age of the credential; absent if there is none."},
	{"wxsidecar_credential_expires_in_seconds", gauge, "Time until the credential expires; 0 if there is none."},
	{"wxsidecar_credential_renewal_in_seconds", gauge, "Time until this sidecar renews the credential, below 0 if that is overdue; absent if there is none."},
	{"wxsidecar_requests_today", gauge, "Requests to WeChat since midnight in Beijing, by all sidecars, as of the last renewal."},
	{"wxsidecar_renewals_today", gauge, "Those of the requests today that returned a credential."},
	{"wxsidecar_force_refreshes_remaining", gauge, "Force refreshes that remain of the 20 that WeChat allows a day; with stable_token alone."},
	{"wxsidecar_quota_used", gauge, "WeChat's own count of requests for tokens today; this and the next two with WECHAT_QUOTA alone."},
	{"wxsidecar_quota_limit", gauge, "Requests for tokens that WeChat allows a day."},
	{"wxsidecar_quota_external_fetches", gauge, "Requests for tokens by other programs between the last two readings of WeChat's count, about an hour apart; absent if unknown."},
	{"wxsidecar_renewals_total", counter, "Renewals by result: success, failure, adopted from another sidecar, or unchanged: an upstream gave the held credential. " +
		"errcode is WeChat's; -1: busy or no readable answer, 429: the budget, other: not documented by WeChat."},
	{"wxsidecar_reports_total", counter, "Reports by apps that the current credential is invalid."},
	{"wxsidecar_report_checks_total", counter, "Checks of a reported token at WeChat, by result: accepted, refused, or unknown. They are no renewals."},
	{"wxsidecar_external_tokens_total", counter, "External tokens found in the entry: another program fetches for this AppID."},
	{"wxsidecar_lease_contention_total", counter, "Renewals that found the lease held by another sidecar."},

	{"wxsidecar_accounts", gauge, "Accounts of this sidecar."},
	{"wxsidecar_memcached_up", gauge, "1 if every memcached server of an account answered at the last poll."},
	{"wxsidecar_memcached_operations_total", counter, "Operations on memcached."},
	{"wxsidecar_memcached_failures_total", counter, "Operations on memcached that failed; a miss is not a failure."},
	{"wxsidecar_mirror_up", gauge, "1 if the last write of each credential to this mirror succeeded; absent if none is configured."},
	{"wxsidecar_answers_total", counter, "Answers of the API: a credential from memory, a credential after a renewal, a login, or a refusal."},
	{"wxsidecar_refused_requests_total", counter, "Requests refused because of the caller. reason is bearer: missing or wrong; or host: a Host that is not one of the sidecar's."},
	{"wxsidecar_appsecret_checks_total", counter, "Requests to WeChat that verified an AppSecret, by result: verified, failing, or unknown. They are no renewals."},
	{"wxsidecar_quota_readings_total", counter, "Readings of WeChat's own count by this sidecar, by result: counted, none, or failed. They are no renewals."},
	{"wxsidecar_wechat_request_duration_seconds", histogram, "Duration of requests to WeChat, failed ones included."},
	{"wxsidecar_start_time_seconds", gauge, "When this process started, in Unix time."},
	{"wxsidecar_build_info", gauge, "1, with the version of this program."},
}
