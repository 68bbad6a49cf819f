//! Keys of persons in the host's own hands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crm::{CustomerId, KeyError, PersonKey, PersonKeys, TenantId};

#[derive(Debug, Default, Clone)]
pub(crate) struct Drawer(pub(crate) Arc<Mutex<HashMap<(TenantId, CustomerId), PersonKey>>>);

#[async_trait]
impl PersonKeys for Drawer {
    async fn get(&self, tenant: &TenantId, customer: CustomerId) -> Result<Option<PersonKey>, KeyError> {
        Ok(self.0.lock().unwrap().get(&(tenant.clone(), customer)).cloned())
    }

    async fn keep(&self, tenant: &TenantId, customer: CustomerId, key: PersonKey) -> Result<PersonKey, KeyError> {
        Ok(self.0.lock().unwrap().entry((tenant.clone(), customer)).or_insert(key).clone())
    }

    async fn destroy(&self, tenant: &TenantId, customer: CustomerId) -> Result<(), KeyError> {
        self.0.lock().unwrap().remove(&(tenant.clone(), customer));
        Ok(())
    }
}
