//go:build unix

package heartlocktest

// LaunchPostgres is [StartPostgres] for a program that is no test. The server
// ends, files and all, when stop is called, at the latest with the program.
func LaunchPostgres(o PostgresOptions) (s *PostgresServer, stop func(), err error) {
	s, err = startPostgres(o)
	if err != nil {
		return nil, nil, err
	}
	return s, s.supervisor.end, nil
}

// PID is the id of the server's main process, the parent of all its others.
func (s *PostgresServer) PID() int { return s.process.Pid }
