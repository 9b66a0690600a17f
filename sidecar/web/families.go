package web

// Types of metric families.
const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

// family is one name in /metrics.
type family struct{ name, kind, help string }

// families is all of them, in the order of /metrics. What stands before
// wxsidecar_accounts has the labels appid and kind, one series for each account
// that is kept; no other label grows with what happens.
var families = []family{
	{"wxsidecar_credential_valid", gauge, "1 while there is a live credential to give, published or not."},
	{"wxsidecar_credential_published", gauge, "1 where memcached held the credential when last looked at."},
	{"wxsidecar_credential_age_seconds", gauge, "Age of the credential; absent while there is none."},
	{"wxsidecar_credential_expires_in_seconds", gauge, "Time until the credential dies; 0 while there is none."},
	{"wxsidecar_credential_renewal_in_seconds", gauge, "Time until this sidecar would renew it, below 0 where that is overdue; absent while there is none."},
	{"wxsidecar_requests_today", gauge, "Calls to WeChat since midnight in Beijing, of all sidecars, as of the last renewal."},
	{"wxsidecar_renewals_today", gauge, "Those of the calls today that brought a credential."},
	{"wxsidecar_force_refreshes_remaining", gauge, "What is left of the 20 forced renewals that WeChat allows a day; only with stable_token."},
	{"wxsidecar_renewals_total", counter, "Renewals by result: success, failure, or adopted from another sidecar. " +
		"errcode is WeChat's; -1: busy or no readable answer, 429: our own budget, other: one that WeChat does not document."},
	{"wxsidecar_reports_total", counter, "Reports by apps that WeChat refused the current credential."},
	{"wxsidecar_external_tokens_total", counter, "Credentials of strangers met in our entry: somebody else fetches for this AppID."},
	{"wxsidecar_lease_contention_total", counter, "Renewals that found the lease held by another sidecar."},

	{"wxsidecar_accounts", gauge, "Accounts that are kept."},
	{"wxsidecar_memcached_up", gauge, "1 where every memcached that keeps an account answered when last looked at."},
	{"wxsidecar_memcached_operations_total", counter, "Operations on memcached."},
	{"wxsidecar_memcached_failures_total", counter, "Operations on memcached that failed; a miss is none."},
	{"wxsidecar_mirror_up", gauge, "1 where all that this mirror holds was written when last tried; only where one is configured."},
	{"wxsidecar_answers_total", counter, "Answers of the API: a credential from memory, one that a renewal brought, or a refusal."},
	{"wxsidecar_wechat_request_duration_seconds", histogram, "How long calls to WeChat took, those that failed included."},
	{"wxsidecar_start_time_seconds", gauge, "When this process started, in Unix time."},
	{"wxsidecar_build_info", gauge, "1, with the version of this program."},
}
