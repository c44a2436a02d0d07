package jobs

import (
	"github.com/calends/calends/exports"
)

// workbookInfo is what a partner's workbook says besides the lines.
func (p *publication) workbookInfo(inv partnerInvoice, csv exports.Control) exports.WorkbookInfo {
	return exports.WorkbookInfo{
		Invoice: inv.Invoice, Exceptions: ofPartner(p.computed.exceptions, inv.PartnerID),
		Revision: p.manifest.Revision, SoftwareVersion: p.env.Version, CSV: csv,
	}
}
