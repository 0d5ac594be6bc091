//! Goods that come, go and are counted; warehouses, lists and the audit.
