// Says whether files are dashboards by Grafana's own schema, as its makers publish it: no unknown
// field, none missing, none of a wrong type, in the panels' options and queries too.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// The schema may give an empty list of errors.
func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func judge(name string) string {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	strict := dashboard.Dashboard{}
	if found := words(strict.UnmarshalJSONStrict(raw)); found != "" {
		return found
	}
	// The strict one leaves panels out when it has an empty list of errors for them.
	judged := dashboard.Dashboard{}
	if err := json.Unmarshal(raw, &judged); err != nil {
		return err.Error()
	}
	for _, one := range judged.Panels {
		if one.Panel != nil && !known[one.Panel.Type] {
			return "panel type '" + one.Panel.Type + "' has no judge here"
		}
	}
	return words(judged.Validate())
}

var known = map[string]bool{}

func main() {
	schema := cog.NewRuntime()
	schema.RegisterDataqueryVariant(prometheus.VariantConfig())
	schema.RegisterPanelcfgVariant(stat.VariantConfig())
	schema.RegisterPanelcfgVariant(timeseries.VariantConfig())
	known["stat"], known["timeseries"] = true, true
	status := 0
	for _, name := range os.Args[1:] {
		if found := judge(name); found != "" {
			fmt.Printf("%s: %s\n", name, found)
			status = 1
		}
	}
	os.Exit(status)
}
