COPY (
  SELECT partner AS PartnerId, customer AS CustomerId, name AS CustomerName, domain AS CustomerDomainName, country AS CustomerCountry,
         NULL AS InvoiceNumber, mpn AS MpnId, reseller AS ResellerMpnId, orderId AS OrderId, orderDate AS OrderDate, productId AS ProductId, skuId AS SkuId,
         availabilityId AS AvailabilityId, sku AS SkuName, product AS ProductName, chargeType AS ChargeType, unitText AS UnitPrice, seats AS Quantity,
         amountText(subtotal, minor) AS Subtotal, amountText(tax, minor) AS TaxTotal, amountText(subtotal + tax, minor) AS Total, billing AS Currency, NULL AS PriceAdjustmentDescription,
         publisher AS PublisherName, NULL AS PublisherId, sku AS SubscriptionDescription, subscriptionId AS SubscriptionId, orderDate AS ChargeStartDate,
         chargeEnd AS ChargeEndDate, commitment AS TermAndBillingCycle, CASE WHEN effective = unit THEN unitText ELSE priceText(effective) END AS EffectiveUnitPrice, 'Licenses' AS UnitType, NULL AS AlternateId,
         seats AS BillableQuantity, frequency AS BillingFrequency, pricing AS PricingCurrency, rateText AS PCToBCExchangeRate, FIRSTDAY AS PCToBCExchangeRateDate,
         NULL AS MeterDescription, NULL AS ReservationOrderId, NULL AS CreditReasonCode, subscriptionStart AS SubscriptionStartDate,
         subscriptionEnd AS SubscriptionEndDate, reference AS ReferenceId, NULL AS ProductQualifiers, NULL AS PromotionId
  FROM (SELECT *, priceText(unit) AS unitText FROM line)) TO FILE (FORMAT csv, HEADER);
