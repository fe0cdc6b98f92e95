package config

import "syscall"

// networkFilesystem names the file system that path lies on when it is one
// whose locks SQLite can not rely on, and "" otherwise. The numbers are those of
// linux/magic.h.
func networkFilesystem(path string) string {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return ""
	}
	// An int32 on some architectures, so the conversion is needed.
	switch int64(stat.Type) & 0xffffffff { //nolint:unconvert // see above
	case 0x6969:
		return "NFS"
	case 0x517b, 0xfe534d42:
		return "SMB"
	case 0xff534d42:
		return "CIFS"
	case 0x01021997:
		return "9p"
	}
	return ""
}
