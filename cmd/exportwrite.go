package cmd

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// exportFile is one file of an export, with the name that it has in a directory.
type exportFile struct {
	name string
	data []byte
}

// writeExport puts the files to where --output says. If one of them is there
// already, none is written.
func (s *session) writeExport(o exportOptions, files []exportFile) error {
	switch {
	case len(files) == 0:
		return fault.New(fault.NotFound, "The project has no environments.")
	case o.output == "" || o.output == "-":
		if len(files) > 1 {
			return fault.New(fault.Usage, "There are several environments, and "+o.format+" is one file for each. Name a directory by --output, or one environment by --environment.")
		}
		return s.printExport(o, files[0])
	}
	paths, err := s.exportPaths(o, files)
	if err != nil {
		return err
	}
	for i, f := range files {
		if o.force {
			err = s.writePrivate(paths[i], api.NewValue(string(f.data)))
		} else {
			err = writeNewFile(s.path(paths[i]), f.data)
		}
		if err != nil {
			return err
		}
	}
	s.tell("%s", exportSummary(files, paths))
	return nil
}

// printExport writes to standard output: exactly, unless a person looks at it.
func (s *session) printExport(o exportOptions, f exportFile) error {
	text := string(f.data)
	switch {
	case !isTerminal(s.streams.Out):
	case o.format == formatJSON:
		text = safeJSON(text)
	default:
		text = safeText(text)
	}
	return s.write([]byte(text))
}

// exportPaths is where the files go: one may have the very name that is given,
// several, or a name that ends as a directory, mean a directory.
func (s *session) exportPaths(o exportOptions, files []exportFile) ([]string, error) {
	info, err := os.Stat(s.path(o.output))
	isDir := err == nil && info.IsDir()
	if len(files) == 1 && !isDir && !strings.HasSuffix(o.output, "/") {
		return []string{o.output}, s.refuseExisting(o, o.output)
	}
	if err == nil && !isDir {
		return nil, fault.Newf(fault.Usage, "%s is no directory, and there are several files to write.", o.output)
	}
	if err != nil {
		if err := os.Mkdir(s.path(o.output), 0o700); err != nil {
			return nil, fault.Wrap(fault.Usage, err, o.output+" can not be created: "+ioReason(err)+".")
		}
	}
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = filepath.Join(o.output, f.name)
		if err := s.refuseExisting(o, paths[i]); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

func (s *session) refuseExisting(o exportOptions, path string) error {
	if _, err := os.Lstat(s.path(path)); err == nil && !o.force {
		return fault.Newf(fault.Conflict, "%s is there already. Nothing was written; choose another name, or add --force.", path)
	}
	return nil
}
