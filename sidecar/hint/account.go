package hint

import "fmt"

// What a text is instead of an AppID.
var (
	IsAppSecret  = Hint{"32 hexadecimal digits are an AppSecret, not an AppID", "32 位十六进制数是 AppSecret，不是 AppID。"}
	IsOriginalID = Hint{"gh_… is an original ID, not an AppID", "gh_… 是原始 ID，不是 AppID。"}
	IsCorpID     = Hint{"ww… is a corp ID of WeCom, not an AppID", "ww… 是企业微信的企业 ID，不是 AppID。"}
	IsNoAppID    = Hint{"not an AppID, which is wx and 16 letters or digits", "不是 AppID：AppID 是 wx 加 16 位字母或数字。"}
)

// Why a file in the accounts folder is not an account.
var (
	NameTaken  = Hint{"WECHAT_APPID names this account too and takes precedence", "WECHAT_APPID 也是该账号，以它为准。"}
	NotRegular = Hint{"not a regular file", "不是普通文件。"}
	NoAccount  = Hint{
		"neither is the name an AppID, which is wx and 16 letters or digits, nor the content an AppSecret, which is 32 hexadecimal digits",
		"文件名不是 AppID（wx 加 16 位字母或数字），内容也不是 AppSecret（32 位十六进制数）。",
	}
)

// Unreadable is for a file that cannot be read.
func Unreadable(err error) Hint {
	return Hint{"it cannot be read: " + err.Error(), "无法读取：" + err.Error() + "。"}
}

// accountFile says how to write a file of the accounts folder.
var accountFile = Hint{"name the file after the AppID and put the AppSecret into it", "文件名应为 AppID，内容应为 AppSecret。"}

// SkippedFile is for a file in the accounts folder that is not an account.
func SkippedFile(path string, reason Hint) Note {
	return Note{
		"account_file_ignored",
		Hint{"the file " + path + " is ignored: " + reason.English, "文件 " + path + " 已忽略：" + reason.Chinese},
		accountFile,
	}
}

// UnusualName is for an account whose file has an unusual name.
func UnusualName(path string) Note {
	return Note{
		"account_name_unusual",
		Hint{"the file " + path + " has an unusual name: " + IsNoAppID.English, "文件名 " + path + " 不常见：" + IsNoAppID.Chinese},
		accountFile,
	}
}

// UnreadableSecret is for an AppSecret that cannot be read. err names its file.
func UnreadableSecret(appID string, err error) Note {
	return Note{
		"appsecret_unreadable",
		Hint{"the AppSecret of " + appID + " cannot be read: " + err.Error(), "无法读取 " + appID + " 的 AppSecret：" + err.Error() + "。"},
		SecretFile,
	}
}

// RefusedSecret is for an AppSecret that WeChat refuses. source has it, and what says what
// to do about the errcode.
func RefusedSecret(appID, source string, errcode int, what Hint) Note {
	return Note{
		"appsecret_refused",
		Hint{
			fmt.Sprintf("WeChat refuses the AppSecret of %s in %s with errcode %d; the next renewal will fail", appID, source, errcode),
			fmt.Sprintf("微信拒绝了 %s 的 AppSecret（来自 %s），错误码 %d；下次续期将失败。", appID, source, errcode),
		},
		what,
	}
}

// UnreadableFolder is for an accounts folder that cannot be read.
func UnreadableFolder(folder string, err error) Note {
	return Note{
		"accounts_folder_unreadable",
		Hint{"the accounts folder " + folder + " cannot be read: " + err.Error(), "无法读取账号目录 " + folder + "：" + err.Error() + "。"},
		Hint{
			"check that the Secret is mounted at WECHAT_ACCOUNTS_DIR; the accounts stay as they were",
			"请确认 Secret 已挂载到 WECHAT_ACCOUNTS_DIR；账号保持不变。",
		},
	}
}
