package main

// partner and customer are rows of partners.csv and customers.csv. Keys are how
// the table of changes names them; ids are derived from the keys.
type partner struct {
	key, name, country, currency, mpn, tax string
}

type customer struct {
	key, name, domain, country, segment, partner, reseller string
}

// Every name means "example" in the language of its country.
var partners = []partner{
	{"musterstadt", "Voorbeeldstad Cloud B.V.", "NL", "EUR", "6100001", "0.21"},
	{"sampleton", "Sampleton Resale Inc.", "US", "USD", "6100002", ""},
	{"mihoncloud", "Mihon Cloud K.K.", "JP", "JPY", "6100003", "0.10"},
	{"mithalcloud", "Mithal Cloud W.L.L.", "KW", "KWD", "6100004", "0"},
}

var customers = []customer{
	{"voorbeeld", "Voorbeeld Fietsen B.V.", "voorbeeldfietsen", "NL", "Commercial", "musterstadt", "6200011"},
	{"beispiel", "Beispiel Maschinenbau GmbH", "beispielmaschinenbau", "DE", "", "musterstadt", "6200012"},
	{"hogeschool", "Hogeschool Voorbeeldstad", "hogeschoolvoorbeeldstad", "NL", "Education", "musterstadt", ""},
	{"exempla", "Exempla Uhren AG", "exemplauhren", "CH", "Commercial", "musterstadt", ""},
	{"specimen", "Specimen Shipping Ltd", "specimenshipping", "GB", "Commercial", "musterstadt", "6200012"},
	{"muster", "Muster & Söhne, Logistik GmbH", "mustersoehne", "DE", "Commercial", "musterstadt", "6200012"},
	{"placeholder", "Placeholder Outfitters Inc.", "placeholderoutfitters", "US", "Commercial", "sampleton", "6200021"},
	{"school", "Sample Valley School District", "samplevalleyschools", "US", "Education", "sampleton", ""},
	{"exemplar", "Exemplar Robotics LLC", "exemplarrobotics", "US", "Commercial", "sampleton", "6200021"},
	{"dairy", `"Dummy Data" Dairy Co.`, "dummydatadairy", "US", "Commercial", "sampleton", ""},
	{"mihon", "見本商事株式会社 (Mihon Shoji)", "mihonshoji", "JP", "Commercial", "mihoncloud", ""},
	{"reidai", "例題製作所 (Reidai Works)", "reidaiworks", "JP", "Commercial", "mihoncloud", ""},
	{"mithal", "Mithal Trading W.L.L.", "mithaltrading", "KW", "Commercial", "mithalcloud", ""},
	{"namuthaj", "Namuthaj Hotels K.S.C.", "namuthajhotels", "KW", "Commercial", "mithalcloud", "6200041"},
	// Nobody's customer: its partner is in no file.
	{"orphan", "Orphan Example Ltd", "orphanexample", "GB", "Commercial", "nobody", ""},
}

// rates are USD for one unit of EUR, GBP, CHF, JPY and KWD.
var rates = []struct {
	month string
	usd   [5]string
}{
	{"2024-01", [5]string{"1.0905125408942203", "1.2716", "1.1682", "0.0068502534593780", "3.2530"}},
	{"2024-02", [5]string{"1.0795", "1.2634", "1.1419", "0.0066844919786096", "3.2488"}},
	{"2024-03", [5]string{"1.0872", "1.2711", "1.1266", "0.0066800267201069", "3.2541"}},
	{"2024-04", [5]string{"1.0728", "1.2518", "1.0989", "0.0065019505851756", "3.2478"}},
	{"2024-05", [5]string{"1.0812", "1.2634", "1.1003", "0.0064143681847338", "3.2562"}},
	{"2024-06", [5]string{"1.0759", "1.2717", "1.1189", "0.0063371356147021", "3.2605"}},
	{"2024-07", [5]string{"1.0844", "1.2860", "1.1212", "0.0063291139240506", "3.2701"}},
	{"2024-08", [5]string{"1.1012", "1.2935", "1.1660", "0.0068352699931647", "3.2733"}},
	{"2024-09", [5]string{"1.1106", "1.3217", "1.1793", "0.0069832402234637", "3.2780"}},
	{"2024-10", [5]string{"1.0901", "1.3044", "1.1620", "0.0066755674232310", "3.2612"}},
	{"2024-11", [5]string{"1.0626", "1.2744", "1.1351", "0.0065061808718282", "3.2525"}},
	{"2024-12", [5]string{"1.0479", "1.2648", "1.1221", "0.0065019505851756", "3.2499"}},
	{"2025-01", [5]string{"1.0354", "1.2352", "1.0994", "0.0063897763578275", "3.2421"}},
	{"2025-02", [5]string{"1.0413", "1.2533", "1.1072", "0.0065876152832675", "3.2397"}},
}

type promotion struct {
	key, id, name, start, end, sku, term, billing, value string
}

var promotions = []promotion{
	{"standard", "39NFJQT1X27N:0001:39NFJQT1Q5KA", "Business Standard, 10 % in the first half of 2024", "2024-01-01T00:00:00+00:00", "2024-06-30T23:59:59+00:00", "BS", "P1Y", "Monthly", "0.10"},
	{"visio", "39NFJQT1X27N:0002:39NFJQT1Q5KB", "Visio Plan 2, 15 % this winter", "2024-01-15T00:00:00+00:00", "2024-03-10T23:59:59+00:00", "V2", "P1M", "Monthly", "0.15"},
	{"premium-bi", "39NFJQT1X27N:0003:39NFJQT1Q5KC", "Power BI Premium Per User, 20 % (over)", "2023-10-01T00:00:00+00:00", "2023-12-31T23:59:59+00:00", "PPU", "P1Y", "Monthly", "0.2"},
	{"bi-annual", "39NFJQT1X27N:0004:39NFJQT1Q5KD", "Power BI Pro prepaid, 5 %", "2024-02-01T00:00:00+00:00", "2024-03-31T23:59:59+00:00", "PBI", "P1Y", "Annual", "0.05"},
}
