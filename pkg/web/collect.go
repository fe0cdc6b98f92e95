package web

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/heartlock/heartlock/pkg/fault"
)

// Collected is what CollectStatic has done.
type Collected struct {
	Dir     string // the folder of this version, below the root
	Written int    // files
	Kept    int    // files that were there already
}

// CollectStatic writes the files that pages need below root, for a web server that
// answers STATIC_URL itself: in a folder that is named after their content, as the
// addresses in pages are, with a compressed copy (.gz) of each beside it. Folders of
// other versions stay, so that pages of a version that still runs find theirs.
//
// The files are no secrets: they are readable for all. A file is there as a whole or
// not at all, however many do this at the same time.
func CollectStatic(root string) (Collected, error) {
	files, err := newAssets("/")
	if err != nil {
		return Collected{}, err
	}
	done := Collected{Dir: filepath.Join(root, files.digest)}
	for _, name := range files.names() {
		f := files.files[name]
		for ending, content := range map[string][]byte{"": f.plain, ".gz": f.zipped()} {
			if content == nil {
				continue
			}
			written, err := collect(filepath.Join(done.Dir, filepath.FromSlash(name)+ending), content)
			if err != nil {
				return done, fault.Wrap(fault.Internal, err, "The file "+name+ending+" can not be written below "+root+". Check that the folder STATIC_ROOT is writable and the disk not full.")
			}
			if written {
				done.Written++
			} else {
				done.Kept++
			}
		}
	}
	return done, nil
}

func (a *assets) names() []string {
	names := make([]string, 0, len(a.files))
	for name := range a.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// collect writes one file, unless it is there with this content.
func collect(path string, content []byte) (written bool, err error) {
	present, err := os.ReadFile(path)
	if err == nil && string(present) == string(content) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := makePublic(filepath.Dir(path)); err != nil {
		return false, err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".collect-*")
	if err != nil {
		return false, err
	}
	_, err = temp.Write(content)
	err = errors.Join(err, temp.Chmod(0o644), temp.Close()) // whatever the umask is
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
	}
	return err == nil, err
}

// makePublic makes a folder and those above it that are missing, for all to read.
func makePublic(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makePublic(filepath.Dir(dir)); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o755) //nolint:gosec // a web server of another account reads it
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, 0o755) //nolint:gosec // a web server of another account reads it
}
