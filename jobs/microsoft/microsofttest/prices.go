package microsofttest

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// prices is the service of price sheets, exchange rates and the offer matrix, and
// Partner Center's promotions.
type prices struct {
	files      map[string]string // by path and query
	promotions map[string][]string
}

func (s *Server) newPrices() {
	s.prices = prices{files: make(map[string]string), promotions: make(map[string][]string)}
	s.Handle("GET /v1.0/sales/{file}/$value", User, s.file)
	s.Handle("GET /v1/productpromotions", Signed, s.promotions)
}

// PutSheet publishes a price sheet. timeline is current, history or future; month is
// that of history, such as 202609, and blank for the others.
func (s *Server) PutSheet(market, timeline, month, csv string) {
	s.put("pricesheets "+strings.ToUpper(market)+" "+timeline+" "+month, csv)
}

// PutFX publishes the exchange rates of a month such as 202610.
func (s *Server) PutFX(month, csv string) { s.put("fxrates "+month, csv) }

// PutOfferMatrix publishes the offer matrix of a month.
func (s *Server) PutOfferMatrix(month, csv string) { s.put("offermatrix "+month, csv) }

// PutPromotions publishes the promotions of a country, one JSON object each.
func (s *Server) PutPromotions(country, segment string, items ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prices.promotions[country+" "+segment] = items
}

func (s *Server) put(name, content string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prices.files[name] = content
}

var fileName = regexp.MustCompile(`^(pricesheets|fxrates|offermatrix)\((.*)\)$`)

func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	parts := fileName.FindStringSubmatch(r.PathValue("file"))
	if parts == nil {
		Refuse(w, http.StatusNotFound, "404", "No such resource.")
		return
	}
	arguments := make(map[string]string)
	for pair := range strings.SplitSeq(parts[2], ",") {
		name, value, _ := strings.Cut(pair, "=")
		arguments[name] = strings.Trim(value, "'")
	}
	key := parts[1] + " " + arguments["Month"]
	if parts[1] == "pricesheets" {
		timeline, month := r.URL.Query().Get("timeline"), ""
		switch timeline {
		case "":
			timeline = "current"
		case "history":
			month = r.URL.Query().Get("month")
		}
		if arguments["PricesheetView"] != "updatedlicensebased" {
			Refuse(w, http.StatusBadRequest, "400", "The view is not supported.")
			return
		}
		key = "pricesheets " + strings.ToUpper(arguments["Market"]) + " " + timeline + " " + month
	}
	s.mu.Lock()
	content, ok := s.prices.files[key]
	s.mu.Unlock()
	if !ok {
		Refuse(w, http.StatusNotFound, "404", "No file for "+key+".")
		return
	}
	ServeFile(w, r, "sheets.csv", []byte(content))
}

// ServeFile answers with a file as the price service does: as a zip where deflate
// is asked for, with an eTag, and with ranges.
func ServeFile(w http.ResponseWriter, r *http.Request, name string, content []byte) {
	if strings.Contains(r.Header.Get("Accept-Encoding"), "deflate") {
		content = Zip(name, content)
	}
	sum := sha256.Sum256(content)
	w.Header().Set("ETag", strconv.Quote(hex.EncodeToString(sum[:8])))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment; filename="+name)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// Zip packs one file, to the same bytes each time.
func Zip(name string, content []byte) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	f, err := z.Create(name)
	if err == nil {
		_, err = io.Copy(f, bytes.NewReader(content))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err) // in memory
	}
	return out.Bytes()
}

// promotions has pages of two.
func (s *Server) promotions(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	items, ok := s.prices.promotions[q.Get("country")+" "+q.Get("segment")]
	s.mu.Unlock()
	if !ok {
		Refuse(w, http.StatusBadRequest, "3000", "The country or the segment is not valid.")
		return
	}
	from, _ := strconv.Atoi(r.Header.Get("MS-ContinuationToken"))
	to := min(from+2, len(items))
	page := map[string]any{"totalCount": len(items), "items": rawItems(items[from:to]), "attributes": map[string]string{"objectType": "Collection"}}
	if to < len(items) {
		page["links"] = map[string]any{"next": map[string]any{
			"uri":    "/productpromotions?country=" + q.Get("country") + "&segment=" + q.Get("segment") + "&seekOperation=Next",
			"method": "GET", "headers": []any{map[string]string{"key": "MS-ContinuationToken", "value": strconv.Itoa(to)}},
		}}
	}
	JSON(w, http.StatusOK, page)
}
