package web

import (
	"fmt"
	"time"
)

// span is a length of time in words, in its largest unit: "2 days".
func span(d time.Duration) string {
	switch {
	case d >= 2*day:
		return count(int(d/day), "day")
	case d >= 2*time.Hour:
		return count(int(d/time.Hour), "hour")
	case d >= 2*time.Minute:
		return count(int(d/time.Minute), "minute")
	}
	return count(int(d/time.Second), "second")
}

// bytesText is a number of bytes in words, with binary units: "1.5 MiB".
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return count(int(n), "byte")
	}
	value, units := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	i := 0
	for value >= unit && i < len(units)-1 {
		value, i = value/unit, i+1
	}
	if value >= 10 {
		return fmt.Sprintf("%.0f %s", value, units[i])
	}
	return fmt.Sprintf("%.1f %s", value, units[i])
}
