package web

// notices are what a page says once after a form has done its work, by the names
// that visit.done is told.
var notices = map[string]string{
	"project-created": "The project is there, with three environments to begin with.",
	"signed-out":      "You are signed out.",
}
