COPY (
  SELECT partner AS PartnerId, customer AS CustomerId, name AS CustomerName, domain AS CustomerDomainName, country AS CustomerCountry,
         NULL::VARCHAR AS InvoiceNumber, mpn AS MpnId, reseller AS ResellerMpnId, orderId AS OrderId, orderDate AS OrderDate, productId AS ProductId, skuId AS SkuId,
         availabilityId AS AvailabilityId, sku AS SkuName, product AS ProductName, chargeType AS ChargeType, priceNumber(unit) AS UnitPrice, seats::DECIMAL(12,0) AS Quantity,
         amountNumber(subtotal, minor) AS Subtotal, amountNumber(tax, minor) AS TaxTotal, amountNumber(subtotal + tax, minor) AS Total, billing AS Currency, NULL::VARCHAR AS PriceAdjustmentDescription,
         publisher AS PublisherName, NULL::VARCHAR AS PublisherId, sku AS SubscriptionDescription, subscriptionId AS SubscriptionId, orderDate AS ChargeStartDate,
         chargeEnd AS ChargeEndDate, commitment AS TermAndBillingCycle, priceNumber(effective) AS EffectiveUnitPrice, 'Licenses' AS UnitType, NULL::VARCHAR AS AlternateId,
         seats::DECIMAL(12,0) AS BillableQuantity, frequency AS BillingFrequency, pricing AS PricingCurrency, rateNumber AS PCToBCExchangeRate, FIRSTDAY AS PCToBCExchangeRateDate,
         NULL::VARCHAR AS MeterDescription, NULL::VARCHAR AS ReservationOrderId, NULL::VARCHAR AS CreditReasonCode, subscriptionStart AS SubscriptionStartDate,
         subscriptionEnd AS SubscriptionEndDate, reference AS ReferenceId, NULL::VARCHAR AS ProductQualifiers, NULL::VARCHAR AS PromotionId
  FROM line) TO FILE (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 131072);
