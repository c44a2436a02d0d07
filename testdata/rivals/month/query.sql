-- The month's simple case: full cycles, renewals, and the pairs of a change of
-- seats. WORDS in capitals are put in before it runs. All money is whole numbers:
-- prices in hundredths, rates in 10^-12, taxes in 10^-4, amounts in the minor units
-- of the partner's currency. Integer division truncates toward zero, as the rules do.

CREATE MACRO priceText(x) AS rtrim(rtrim((x::DECIMAL(18,0) * 0.0000000001::DECIMAL(10,10))::VARCHAR, '0'), '.');
CREATE MACRO priceNumber(x) AS (sign(x) * ((abs(x) + 5000) // 10000))::DECIMAL(12,0) * 0.000001::DECIMAL(6,6);
CREATE MACRO amountText(x, minor) AS
  CASE minor WHEN 100 THEN (x::DECIMAL(15,0) * 0.01::DECIMAL(3,2))::VARCHAR WHEN 1 THEN x::VARCHAR ELSE (x::DECIMAL(15,0) * 0.001::DECIMAL(3,3))::VARCHAR END;
CREATE MACRO amountNumber(x, minor) AS (x * (1000 // minor))::DECIMAL(15,0) * 0.001::DECIMAL(3,3);
-- The name space is that of the reference ids.
CREATE MACRO uuidOf(x) AS (x[1:12] || '5' || x[14:16] || translate(x[17], '0123456789abcdef', '89ab89ab89ab89ab') || x[18:32])::UUID::VARCHAR;
CREATE MACRO uuid5(name) AS uuidOf(sha1('\x8F\x5B\x0F\x53\x0F\x3C\x5B\x44\x9F\x0E\x6A\x1D\x1C\x9C\x3F\x10'::BLOB || encode(name)));

CREATE TEMP TABLE usd AS
  SELECT currency, (usdPerUnit::DECIMAL(18,6) * 1000000)::HUGEINT AS micros FROM read_parquet(RATES) WHERE month = MONTHNUMBER
  UNION ALL SELECT 'USD', 1000000::HUGEINT;

-- Half even to nine decimals, or to nine digits where that is finer: at most twelve decimals.
CREATE TEMP TABLE rate AS
  WITH pairs AS (
    SELECT p.currency AS pricing, b.currency AS billing, p.micros AS num, b.micros AS den,
           9 + (p.micros * 10 < b.micros)::INT + (p.micros * 100 < b.micros)::INT + (p.micros * 1000 < b.micros)::INT AS places
    FROM usd p, usd b WHERE p.currency <> b.currency),
  parts AS (
    SELECT *, num * (10::HUGEINT ** places)::HUGEINT // den AS q, num * (10::HUGEINT ** places)::HUGEINT % den AS r FROM pairs)
  SELECT pricing, billing, (q + CASE WHEN 2*r > den OR 2*r = den AND q % 2 = 1 THEN 1 ELSE 0 END) * (10::HUGEINT ** (12 - places))::HUGEINT AS rate12 FROM parts;
INSERT INTO rate SELECT DISTINCT currency, currency, 1000000000000::HUGEINT FROM (SELECT currency FROM usd UNION SELECT billingCurrency FROM read_parquet(PARTNERS));
ALTER TABLE rate ADD COLUMN rateText VARCHAR;
ALTER TABLE rate ADD COLUMN rateNumber DECIMAL(18,9);
UPDATE rate SET rateText = rtrim(rtrim((rate12::DECIMAL(26,0) * 0.000000000001::DECIMAL(12,12))::VARCHAR, '0'), '.'),
                rateNumber = rate12::DECIMAL(26,0) * 0.000000000001::DECIMAL(12,12);

CREATE TEMP TABLE account AS
  SELECT c.id, c.name, c.domain, c.country, c.segment, nullif(c.resellerMpnId, '') AS reseller,
         p.id AS partner, p.mpnId AS mpn, p.billingCurrency AS billing, (coalesce(nullif(p.taxRate, ''), '0')::DECIMAL(18,4) * 10000)::BIGINT AS tax4,
         CASE p.billingCurrency WHEN 'JPY' THEN 1 WHEN 'KWD' THEN 1000 ELSE 100 END::BIGINT AS minor
  FROM read_parquet(CUSTOMERS) c JOIN read_parquet(PARTNERS) p ON p.id = c.partnerId;

CREATE TEMP TABLE sheet AS
  SELECT m.market, s.productId, s.skuId, s.term, s.plan, s.segment, s.currency, (s.unitPrice::DECIMAL(18,2) * 100)::BIGINT AS cents,
         s.productTitle, s.skuTitle, s.publisher
  FROM read_parquet(PRICES, filename = true) s JOIN (VALUES MARKETS) m(file, market) ON m.file = s.filename;

CREATE TEMP TABLE changed AS
  SELECT subject, id AS event, quantity AS toQuantity, DATE '1970-01-01' + ("at" // 864000000000)::INT AS day FROM read_parquet(CHANGES);

-- A plan or term by its number, as the state has it.
CREATE TEMP TABLE bought AS
  SELECT t.term, p.plan, t.months AS termMonths, p.months AS cycleMonths, t.words || ' commitment for ' || p.words || ' billing' AS commitment,
         CASE WHEN t.months <> p.months THEN p.name END AS frequency
  FROM (VALUES (1, 1, 'One-month'), (2, 12, 'One-year'), (3, 36, 'Three-year')) t(term, months, words),
       (VALUES (2, 1, 'monthly', 'Monthly'), (3, 12, 'yearly', 'Annual'), (4, 36, 'triennial', 'Triennial')) p(plan, months, words, name);

-- One row a subscription that has a line: the cycle that it is in, the one that begins
-- in the month, and its change.
CREATE TEMP STANDING standing AS
  WITH state AS (
    SELECT customerId, subscriptionId, orderId, availabilityId, productId, skuId, term, plan, quantity, autoRenew, market,
           (unitPrice::DECIMAL(18,2) * 100)::BIGINT AS cents, currency, productTitle, skuTitle, publisher, cycleDays,
           DATE '1970-01-01' + termStart AS termStart, DATE '1970-01-01' + termEnd AS termEnd,
           DATE '1970-01-01' + cycleFirst AS cycleFirst, DATE '1970-01-01' + cycleLast AS cycleLast, DATE '1970-01-01' + cycleLast + 1 AS next
    FROM read_parquet(STATE)),
  due AS (
    SELECT s.*, b.termMonths, b.cycleMonths, b.commitment, b.frequency,
           next <= LASTDAY AND (next <= termEnd OR autoRenew) AS charged, next > termEnd AS renewed,
           -- Only what renews in the month asks for a price. A condition beside the join's equalities would cost it its hash table.
           CASE WHEN next > termEnd AND next <= LASTDAY AND autoRenew THEN term END AS renewedTerm
    FROM state s JOIN bought b USING (term, plan))
  SELECT d.* EXCLUDE (renewedTerm), a.* EXCLUDE (segment), c.event, c.toQuantity, c.day,
         CASE WHEN renewed THEN p.cents ELSE d.cents END AS nextCents, CASE WHEN renewed THEN p.currency ELSE d.currency END AS nextCurrency,
         CASE WHEN renewed THEN p.productTitle ELSE d.productTitle END AS nextProduct, CASE WHEN renewed THEN p.skuTitle ELSE d.skuTitle END AS nextSku,
         CASE WHEN renewed THEN next ELSE termStart END AS nextStart,
         CASE WHEN renewed THEN (next + to_months(termMonths::INT))::DATE - 1 ELSE termEnd END AS nextEnd,
         CASE WHEN renewed THEN (next + to_months(d.cycleMonths::INT))::DATE - 1
              ELSE (termStart + to_months((datediff('month', termStart, next) + d.cycleMonths)::INT))::DATE - 1 END AS nextLast,
         charged AND c.day >= next AS late
  FROM due d JOIN account a ON a.id = d.customerId
       LEFT JOIN changed c ON c.subject = d.subscriptionId
       LEFT JOIN sheet p ON p.market = a.country AND p.productId = d.productId AND p.skuId = d.skuId
                        AND p.term = d.renewedTerm AND p.plan = d.plan AND p.segment = a.segment
  WHERE charged OR c.day IS NOT NULL;

CREATE TEMP LINES line AS
  WITH raw AS (
    SELECT *, 1::BIGINT AS sign, CASE WHEN renewed THEN 'renew' ELSE 'cycleCharge' END AS chargeType, next AS orderDate, nextLast AS chargeEnd,
           (nextLast - next + 1)::BIGINT AS billed, (nextLast - next + 1)::BIGINT AS days, CASE WHEN day < next THEN toQuantity ELSE quantity END AS seats,
           nextCents AS price, nextCurrency AS pricing, nextProduct AS product, nextSku AS sku, nextStart AS subscriptionStart, nextEnd AS subscriptionEnd,
           uuid5(subscriptionId || '|' || nextStart || '|' || next) AS reference
    FROM standing WHERE charged
    UNION ALL
    SELECT * EXCLUDE (sign), k.sign, CASE WHEN toQuantity > quantity THEN 'addQuantity' ELSE 'removeQuantity' END, day, CASE WHEN late THEN nextLast ELSE cycleLast END,
           (CASE WHEN late THEN nextLast ELSE cycleLast END - day + 1)::BIGINT, CASE WHEN late THEN (nextLast - next + 1) ELSE cycleDays END::BIGINT,
           CASE WHEN k.sign < 0 THEN quantity ELSE toQuantity END,
           CASE WHEN late THEN nextCents ELSE cents END, CASE WHEN late THEN nextCurrency ELSE currency END,
           CASE WHEN late THEN nextProduct ELSE productTitle END, CASE WHEN late THEN nextSku ELSE skuTitle END,
           CASE WHEN late THEN nextStart ELSE termStart END, CASE WHEN late THEN nextEnd ELSE termEnd END, event
    FROM standing, (VALUES (-1::BIGINT), (1::BIGINT)) k(sign) WHERE day IS NOT NULL),
  rated AS (
    SELECT raw.*, rate.rateText, rate.rateNumber, rate.rate12,
           -- A cycle truncates the price of one licence, a pair the whole line.
           CASE WHEN chargeType IN ('addQuantity', 'removeQuantity') THEN
             CASE WHEN raw.pricing = raw.billing THEN price * cycleMonths * billed * seats * minor // (100 * termMonths * days)
                  ELSE (price::HUGEINT * cycleMonths * billed * seats * minor * rate12 // (100000000000000::HUGEINT * termMonths * days))::BIGINT END
           ELSE seats *
             CASE WHEN raw.pricing = raw.billing THEN price * cycleMonths * minor // (100 * termMonths)
                  ELSE (price::HUGEINT * cycleMonths * minor * rate12 // (100000000000000::HUGEINT * termMonths))::BIGINT END
           END AS amount,
           -- Prices are printed with ten decimals, half even.
           price * cycleMonths * 100000000 // termMonths AS unit, price * cycleMonths * 100000000 % termMonths AS unitRest,
           CASE WHEN billed <> days THEN price::HUGEINT * cycleMonths * billed * 100000000 // (termMonths * days) END AS part,
           CASE WHEN billed <> days THEN price::HUGEINT * cycleMonths * billed * 100000000 % (termMonths * days) END AS partRest
    FROM raw JOIN rate ON rate.pricing = raw.pricing AND rate.billing = raw.billing),
  rounded AS (
    SELECT * EXCLUDE (unit, part), amount * tax4 // 10000 AS tax,
           unit + CASE WHEN 2 * unitRest > termMonths OR 2 * unitRest = termMonths AND unit % 2 = 1 THEN 1 ELSE 0 END AS unit,
           (part + CASE WHEN 2 * partRest > termMonths * days OR 2 * partRest = termMonths * days AND part % 2 = 1 THEN 1 ELSE 0 END)::BIGINT AS part
    FROM rated)
  SELECT partner, id AS customer, name, domain, country, mpn, reseller, orderId, orderDate, productId, skuId, availabilityId, sku, product, chargeType,
         unit, seats, sign * amount AS subtotal, sign * tax AS tax, minor, billing, publisher, subscriptionId, chargeEnd, commitment,
         sign * coalesce(part, unit) AS effective, frequency, pricing, rateText, rateNumber, subscriptionStart, subscriptionEnd, reference
  FROM rounded;
