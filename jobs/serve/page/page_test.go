package page_test

import "github.com/calends/calends/jobs/serve/page"

type pageRoute = page.Route
