//! The definitions' files with every reading again told: counted, logged, and put on the event stream.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    domain::ids::AgentName,
    ports::definitions::{DefinitionFiles, Reread},
    services::reloads::Reloads,
};

pub struct ObservedDefinitions {
    pub files: Arc<dyn DefinitionFiles>,
    pub reloads: Reloads,
}

#[async_trait]
impl DefinitionFiles for ObservedDefinitions {
    async fn reread(&self, name: &AgentName) -> Reread {
        let reread = self.files.reread(name).await;
        self.reloads.definition(name.as_str(), &reread);
        reread
    }

    async fn reread_all(&self) -> Result<Vec<(String, Reread)>, String> {
        let all = self.files.reread_all().await?;
        for (agent, reread) in &all {
            self.reloads.definition(agent, reread);
        }
        Ok(all)
    }
}
