//! `wasi:filesystem` as guests call it: who calls what, on which handle. What it does is in the session's modules.

use std::sync::Arc;

use wasmtime::{
    Result,
    component::{HasSelf, Linker, Resource},
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, IoError};

use super::{
    bindings::wasi::filesystem::{
        preopens,
        types::{
            self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, HostDescriptor,
            HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
        },
    },
    content::{self, At},
    failure::{CallError, Failure},
    handles::{Descriptor, OpenDirectory, OpenFile},
    listing::Listing,
    session::Session,
    streams::{FileReader, FileWriter},
};
use crate::adapters::wasm::guest::Guest;

type Called<T> = std::result::Result<T, CallError>;
type Done<T> = std::result::Result<T, Failure>;
type Handle = Resource<Descriptor>;

/// How a workspace is called in it: paths from `/` and relative ones both lead here.
const ROOT: &str = "/";

/// Put this in the place of wasmtime's own.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    preopens::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl preopens::Host for Guest {
    /// The first call opens the workspace: an activation that uses no files never gets here.
    async fn get_directories(&mut self) -> Result<Vec<(Handle, String)>> {
        let Some(session) = self.workspace().await? else {
            return Ok(Vec::new());
        };
        let root = Descriptor::Directory(session.workspace.root());
        Ok(vec![(self.table.push(root)?, ROOT.to_owned())])
    }
}

impl types::Host for Guest {
    async fn filesystem_error_code(&mut self, error: Resource<IoError>) -> Result<Option<ErrorCode>> {
        let failure = self.table.get(&error)?.downcast_ref::<Failure>();
        Ok(failure.map(|failure| failure.code))
    }

    fn convert_error_code(&mut self, error: CallError) -> Result<ErrorCode> {
        match error {
            CallError::Failed(failure) => Ok(failure.code),
            CallError::Trap(error) => Err(error),
        }
    }
}

impl Guest {
    fn descriptor(&self, handle: &Handle) -> Called<&Descriptor> {
        self.table.get(handle).map_err(CallError::table)
    }

    /// The session that every descriptor comes from.
    fn session(&self) -> Called<Arc<Session>> {
        self.session
            .clone()
            .ok_or_else(|| CallError::Trap(wasmtime::format_err!("a descriptor without a workspace")))
    }

    fn no_links(&self) -> Called<Failure> {
        let words = "links are refused in a workspace: copy the file, or rename it";
        Ok(self.session()?.told(Failure::new(ErrorCode::NotPermitted, words)))
    }

    async fn on_file<T: Send + 'static>(
        &mut self,
        handle: &Handle,
        call: impl FnOnce(&Session, &OpenFile) -> Done<T> + Send + 'static,
    ) -> Called<T> {
        let file = self.descriptor(handle)?.file()?;
        Ok(self.session()?.run(move |session| call(session, &file)).await?)
    }

    async fn on_directory<T: Send + 'static>(
        &mut self,
        handle: &Handle,
        call: impl FnOnce(&Arc<Session>, Arc<OpenDirectory>) -> Done<T> + Send + 'static,
    ) -> Called<T> {
        let directory = self.descriptor(handle)?.directory()?;
        Ok(self.session()?.run(move |session| call(session, directory)).await?)
    }

    async fn on_either<T: Send + 'static>(
        &mut self,
        handle: &Handle,
        call: impl FnOnce(&Session, &Descriptor) -> Done<T> + Send + 'static,
    ) -> Called<T> {
        let descriptor = self.descriptor(handle)?.share();
        Ok(self.session()?.run(move |session| call(session, &descriptor)).await?)
    }

    fn write_stream(&mut self, handle: &Handle, at: At) -> Called<Resource<DynOutputStream>> {
        let session = self.session()?;
        let file = self.descriptor(handle)?.file()?;
        file.require(DescriptorFlags::WRITE)?;
        let permit = session.permit_to_stream()?;
        let stream: DynOutputStream = Box::new(FileWriter::new(session, file, at, permit));
        self.table.push(stream).map_err(CallError::table)
    }
}

impl HostDescriptor for Guest {
    async fn read_via_stream(&mut self, handle: Handle, offset: u64) -> Called<Resource<DynInputStream>> {
        let session = self.session()?;
        let file = self.descriptor(&handle)?.file()?;
        file.require(DescriptorFlags::READ)?;
        let permit = session.permit_to_stream()?;
        let stream: DynInputStream = Box::new(FileReader::new(session, file, offset, permit));
        self.table.push(stream).map_err(CallError::table)
    }

    async fn write_via_stream(&mut self, handle: Handle, offset: u64) -> Called<Resource<DynOutputStream>> {
        self.write_stream(&handle, At::Offset(offset))
    }

    async fn append_via_stream(&mut self, handle: Handle) -> Called<Resource<DynOutputStream>> {
        self.write_stream(&handle, At::End)
    }

    /// Taken note of, no more.
    async fn advise(&mut self, handle: Handle, _: u64, _: u64, _: Advice) -> Called<()> {
        self.descriptor(&handle)?.file()?;
        Ok(())
    }

    /// Scratch space is not waited for until it is on the disk: the store, beside it there, would wait for it too.
    async fn sync_data(&mut self, handle: Handle) -> Called<()> {
        self.descriptor(&handle)?;
        Ok(())
    }

    async fn get_flags(&mut self, handle: Handle) -> Called<DescriptorFlags> {
        Ok(match self.descriptor(&handle)? {
            Descriptor::File(file) => file.flags,
            Descriptor::Directory(_) if self.session()?.writable() => {
                DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY
            }
            Descriptor::Directory(_) => DescriptorFlags::READ,
        })
    }

    async fn get_type(&mut self, handle: Handle) -> Called<DescriptorType> {
        Ok(match self.descriptor(&handle)? {
            Descriptor::File(_) => DescriptorType::RegularFile,
            Descriptor::Directory(_) => DescriptorType::Directory,
        })
    }

    async fn set_size(&mut self, handle: Handle, size: u64) -> Called<()> {
        self.on_file(&handle, move |session, file| session.resize(file, size))
            .await
    }

    async fn set_times(&mut self, handle: Handle, accessed: NewTimestamp, modified: NewTimestamp) -> Called<()> {
        let times = content::timestamps(accessed, modified)?;
        self.on_either(&handle, move |session, of| session.set_times(of, &times))
            .await
    }

    async fn read(&mut self, handle: Handle, length: u64, offset: u64) -> Called<(Vec<u8>, bool)> {
        let read = move |_: &Session, file: &OpenFile| {
            file.require(DescriptorFlags::READ)?;
            let bytes = content::read(file, length, offset)?;
            let end = bytes.is_empty() && length > 0;
            Ok((bytes.to_vec(), end))
        };
        self.on_file(&handle, read).await
    }

    async fn write(&mut self, handle: Handle, bytes: Vec<u8>, offset: u64) -> Called<u64> {
        let count = bytes.len() as u64;
        self.on_file(&handle, move |session, file| {
            session.write(file, &bytes, At::Offset(offset))
        })
        .await?;
        Ok(count)
    }

    async fn read_directory(&mut self, handle: Handle) -> Called<Resource<Listing>> {
        let list = |session: &Arc<Session>, directory| Listing::new(directory, session.permit_to_open()?);
        let listing = self.on_directory(&handle, list).await?;
        self.table.push(listing).map_err(CallError::table)
    }

    async fn sync(&mut self, handle: Handle) -> Called<()> {
        self.sync_data(handle).await
    }

    async fn create_directory_at(&mut self, handle: Handle, path: String) -> Called<()> {
        self.on_directory(&handle, move |session, base| session.make_directory(&base, &path))
            .await
    }

    async fn stat(&mut self, handle: Handle) -> Called<DescriptorStat> {
        self.on_either(&handle, |_, of| Ok(of.facts()?.stat())).await
    }

    async fn stat_at(&mut self, handle: Handle, _: PathFlags, path: String) -> Called<DescriptorStat> {
        self.on_directory(&handle, move |session, base| {
            Ok(session.find(&base, &path)?.facts()?.stat())
        })
        .await
    }

    async fn set_times_at(
        &mut self,
        handle: Handle,
        _: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Called<()> {
        let times = content::timestamps(accessed, modified)?;
        self.on_directory(&handle, move |session, base| session.set_times_at(&base, &path, &times))
            .await
    }

    async fn link_at(&mut self, _: Handle, _: PathFlags, _: String, _: Handle, _: String) -> Called<()> {
        Err(self.no_links()?.into())
    }

    async fn open_at(
        &mut self,
        handle: Handle,
        _: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Called<Handle> {
        let opened = self
            .on_directory(&handle, move |session, base| session.open_at(&base, &path, how, flags))
            .await?;
        self.table.push(opened).map_err(CallError::table)
    }

    async fn readlink_at(&mut self, _: Handle, _: String) -> Called<String> {
        Err(self.no_links()?.into())
    }

    async fn remove_directory_at(&mut self, handle: Handle, path: String) -> Called<()> {
        self.on_directory(&handle, move |session, base| session.remove_directory(&base, &path))
            .await
    }

    async fn rename_at(&mut self, handle: Handle, from: String, to_handle: Handle, to: String) -> Called<()> {
        let target = self.descriptor(&to_handle)?.directory()?;
        self.on_directory(&handle, move |session, base| {
            session.rename((&base, &from), (&target, &to))
        })
        .await
    }

    async fn symlink_at(&mut self, _: Handle, _: String, _: String) -> Called<()> {
        Err(self.no_links()?.into())
    }

    async fn unlink_file_at(&mut self, handle: Handle, path: String) -> Called<()> {
        self.on_directory(&handle, move |session, base| session.unlink(&base, &path))
            .await
    }

    async fn is_same_object(&mut self, one: Handle, other: Handle) -> Result<bool> {
        let (one, other) = (self.table.get(&one)?.share(), self.table.get(&other)?.share());
        let Some(session) = self.session.clone() else {
            return Ok(false);
        };
        let same = session.run(move |_| {
            let (one, other) = (one.facts()?, other.facts()?);
            Ok((one.device, one.id) == (other.device, other.id))
        });
        Ok(same.await.unwrap_or(false))
    }

    async fn metadata_hash(&mut self, handle: Handle) -> Called<MetadataHashValue> {
        self.on_either(&handle, |_, of| Ok(of.facts()?.hash())).await
    }

    async fn metadata_hash_at(&mut self, handle: Handle, _: PathFlags, path: String) -> Called<MetadataHashValue> {
        self.on_directory(&handle, move |session, base| {
            Ok(session.find(&base, &path)?.facts()?.hash())
        })
        .await
    }

    /// Waits until a file is closed: what its bytes made room for is there right after.
    async fn drop(&mut self, handle: Handle) -> Result<()> {
        match self.table.delete(handle)? {
            Descriptor::Directory(directory) => drop(directory),
            Descriptor::File(file) => {
                if let Some(session) = self.session.clone() {
                    // A failure of it has nobody to be told to, and was logged.
                    let close = move |_: &Arc<Session>| {
                        file.close();
                        Ok(())
                    };
                    let _ = session.run(close).await;
                }
            }
        }
        Ok(())
    }
}

impl HostDirectoryEntryStream for Guest {
    async fn read_directory_entry(&mut self, handle: Resource<Listing>) -> Called<Option<DirectoryEntry>> {
        let listing = self.table.get_mut(&handle).map_err(CallError::table)?;
        if listing.batch.is_empty()
            && let Some(rest) = listing.rest.take()
        {
            let (batch, rest) = self.session()?.run(move |_| Ok(rest.read())).await?;
            *self.table.get_mut(&handle).map_err(CallError::table)? = Listing { batch, rest };
        }
        let listing = self.table.get_mut(&handle).map_err(CallError::table)?;
        Ok(listing.batch.pop_front().transpose()?)
    }

    async fn drop(&mut self, handle: Resource<Listing>) -> Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}
