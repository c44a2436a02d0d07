package pricesheet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

const (
	rulePolicy   = "want PercentDiscount, the only kind of promotion that is known"
	rulePolicies = "want one PercentDiscount"
	ruleValue    = "want a fraction from 0 to 1, such as 0.05"
	ruleBefore   = "must not be before startDate"
	ruleNoTerm   = "want P1M, P1Y or P3Y"
)

// promotionItem is one element of items[].
type promotionItem struct {
	ID               *string           `json:"id"`
	StartDate        *string           `json:"startDate"`
	EndDate          *string           `json:"endDate"`
	RequiredProducts []requiredProduct `json:"requiredProducts"`
}

type requiredProduct struct {
	ProductID string `json:"productId"`
	SkuID     string `json:"skuId"`
	Term      struct {
		Duration     string `json:"duration"`
		BillingCycle string `json:"billingCycle"`
	} `json:"term"`
	PricingPolicies []struct {
		PolicyType string          `json:"policyType"`
		Value      json.RawMessage `json:"value"`
	} `json:"pricingPolicies"`
}

// ReadPromotions reads the answer of Partner Center's productpromotions: one
// [pricing.Promotion] for each required product, several of them with one ID.
// Both dates are inside the promotion.
func ReadPromotions(src io.Reader) ([]pricing.Promotion, error) {
	data, err := io.ReadAll(src)
	if err != nil {
		return nil, fmt.Errorf("read promotions: %w", err)
	}
	p := promotionParser{data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), errs: table.Errors{What: "promotions"}}
	if p.items(); p.errs.Count > 0 {
		return nil, p.errs.Err()
	}
	return p.promotions, nil
}

type promotionParser struct {
	data       []byte
	promotions []pricing.Promotion
	errs       table.Errors
	line       int64 // of the current item
	item       int
}

// items finds items[] at the top and takes in each element.
func (p *promotionParser) items() {
	var top struct {
		Items *[]json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(p.data, &top); err != nil {
		p.syntax(err, 0)
		return
	}
	if top.Items == nil {
		p.errs.Add(&table.Error{Rule: "has no items[]: want the answer of Partner Center's productpromotions"})
		return
	}
	from := 0
	for i, raw := range *top.Items {
		// Items come as they stand in the file, in order.
		at := bytes.Index(p.data[from:], raw)
		if at >= 0 {
			p.line = int64(bytes.Count(p.data[:from+at], []byte{'\n'})) + 1
			from += at + len(raw)
		}
		p.item = i
		var item promotionItem
		if err := json.Unmarshal(raw, &item); err != nil {
			p.syntax(err, p.line)
			continue
		}
		p.promotion(item)
	}
}

// syntax refuses what encoding/json cannot read. Line 0: find it.
func (p *promotionParser) syntax(err error, line int64) {
	var s *json.SyntaxError
	var u *json.UnmarshalTypeError
	switch {
	case errors.As(err, &s):
		if line == 0 {
			line = int64(bytes.Count(p.data[:min(int(s.Offset), len(p.data))], []byte{'\n'})) + 1
		}
		p.errs.Add(&table.Error{Line: line, Rule: "is no JSON: " + s.Error()})
	case errors.As(err, &u):
		p.errs.Add(&table.Error{Line: line, Column: u.Field, Value: u.Value, Rule: "want a " + u.Type.Kind().String()})
	default:
		p.errs.Add(&table.Error{Line: line, Rule: "is no JSON: " + err.Error()})
	}
}

func (p *promotionParser) refuse(field, value, rule string) {
	p.errs.Add(table.NewError(p.line, fmt.Sprintf("items[%d].%s", p.item, field), []byte(value), rule))
}

func (p *promotionParser) promotion(item promotionItem) {
	if item.ID == nil || *item.ID == "" {
		p.refuse("id", "", ruleRequired)
		return
	}
	start, ok := p.date("startDate", item.StartDate)
	if !ok {
		return
	}
	end, ok := p.date("endDate", item.EndDate)
	if !ok {
		return
	}
	if end.End() < start.At {
		p.refuse("endDate", *item.EndDate, ruleBefore)
		return
	}
	if len(item.RequiredProducts) == 0 {
		p.refuse("requiredProducts", "", ruleRequired)
	}
	for i, product := range item.RequiredProducts {
		promotion, ok := p.product(fmt.Sprintf("requiredProducts[%d]", i), product)
		if !ok {
			continue
		}
		promotion.ID, promotion.Start, promotion.End = *item.ID, start.At, end.End()
		p.promotions = append(p.promotions, promotion)
	}
}

func (p *promotionParser) date(field string, text *string) (table.Stamp, bool) {
	if text == nil {
		p.refuse(field, "", ruleRequired)
		return table.Stamp{}, false
	}
	stamp, ok := table.Time([]byte(*text))
	if !ok {
		p.refuse(field, *text, table.RuleDate)
	}
	return stamp, ok
}

func (p *promotionParser) product(path string, product requiredProduct) (promotion pricing.Promotion, ok bool) {
	term, termOK := pricing.ParseTerm(product.Term.Duration)
	plan, planOK := pricing.ParsePlan(product.Term.BillingCycle)
	switch {
	case product.ProductID == "":
		p.refuse(path+".productId", "", ruleRequired)
	case product.SkuID == "":
		p.refuse(path+".skuId", "", ruleRequired)
	case !termOK:
		p.refuse(path+".term.duration", product.Term.Duration, ruleNoTerm)
	case !planOK:
		p.refuse(path+".term.billingCycle", product.Term.BillingCycle, rulePlan)
	case len(product.PricingPolicies) == 0:
		p.refuse(path+".pricingPolicies", "", rulePolicies)
	default:
		ok = true
	}
	if !ok {
		return promotion, false
	}
	for i, policy := range product.PricingPolicies {
		where := fmt.Sprintf("%s.pricingPolicies[%d]", path, i)
		switch {
		case policy.PolicyType != "PercentDiscount":
			p.refuse(where+".policyType", policy.PolicyType, rulePolicy)
			return promotion, false
		case i > 0:
			p.refuse(where+".policyType", policy.PolicyType, rulePolicies)
			return promotion, false
		}
		discount, valid := fraction(policy.Value)
		if !valid {
			p.refuse(where+".value", string(policy.Value), ruleValue)
			return promotion, false
		}
		promotion.Discount = discount
	}
	promotion.SKU = pricing.SKU{ProductID: product.ProductID, SkuID: pricing.NormalSKU(product.SkuID)}
	promotion.Term, promotion.Plan = term, plan
	return promotion, true
}

// fraction reads "0.05" and 0.05.
func fraction(raw []byte) (decimal.Decimal, bool) {
	if len(raw) > 1 && raw[0] == '"' {
		raw = raw[1 : len(raw)-1]
	}
	d, ok := table.Number(raw)
	return d, ok && !d.IsNegative() && d.LessThanOrEqual(decimal.NewFromInt(1))
}
