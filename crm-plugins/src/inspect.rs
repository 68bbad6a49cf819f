//! A look at a file before anything believes it: one pass over its structure, without compiling or
//! running, that finds the manifest and the roles and refuses what would be dear to compile.

use std::collections::BTreeSet;
use std::ops::Range;

use wasmparser::{
    ComponentExportSectionReader, ComponentImportSectionReader, ComponentInstance, Encoding, ExportSectionReader,
    FunctionBody, ImportSectionReader, Instance, MemorySectionReader, Operator, Parser, Payload, TableSectionReader,
    Validator, WasmFeatures,
};

use crate::contract::{self, Roles};
use crate::limits::Limits;
use crate::load::LoadError;
use crate::manifest::{MANIFEST_SECTION, PAGE_BYTES};
use crate::weigh::Shapes;

/// What a guest may be made of: what compilers emit today and gives the same result everywhere.
/// Threads, 64-bit and several memories, tail calls, exceptions, garbage collection, relaxed SIMD
/// and asynchronous calls are off.
const FEATURES: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

/// Imports of a core module that is a plugin. The contract gives two functions, so whoever imports more imports the same
/// again and again; what makes a component of it takes time with the square of their number.
const IMPORTS_MAX: usize = 64;

/// What a function is for the compiler that crosses the border of a component.
const CROSSING_WORK: u64 = 300;

/// What a file is, once it has passed.
#[derive(Debug)]
pub(crate) struct Inspection<'a> {
    pub(crate) manifest: &'a [u8],
    pub(crate) roles: Roles,
    /// The interfaces that are imported.
    pub(crate) imports: BTreeSet<String>,
    pub(crate) form: Form,
}

/// The two forms in which a plugin may come.
#[derive(Debug)]
pub(crate) enum Form {
    /// A core module, with the places of the sections that say what it does; names, debugging
    /// tables and other custom sections are not among them.
    Module {
        sections: Vec<Range<usize>>,
        /// The names of what it exports.
        exports: Vec<String>,
    },
    /// A finished component.
    Component,
}

/// Checks `bytes` against the limits and the contract.
pub(crate) fn inspect<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Inspection<'a>, LoadError> {
    check("bytes in the file", bytes.len(), limits.load.file_bytes)?;
    let form = match Parser::new(0).parse_all(bytes).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => {
            Form::Module { sections: Vec::new(), exports: Vec::new() }
        }
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => Form::Component,
        Some(Ok(_)) | None => return Err(LoadError::NotWasm),
        Some(Err(_)) => return Err(LoadError::NotWasm),
    };
    let mut pass = Pass {
        limits,
        form,
        roles: Roles::default(),
        imports: BTreeSet::new(),
        manifest: None,
        counts: Counts { instances: 1, ..Counts::default() },
    };
    for payload in Parser::new(0).parse_all(bytes) {
        pass.payload(payload?)?;
    }
    Validator::new_with_features(FEATURES).validate_all(bytes)?;
    if !pass.roles.scorer && !pass.roles.workflow {
        return Err(LoadError::NoRole);
    }
    if pass.roles.scorer && pass.roles.workflow {
        // It is compiled for each of them.
        check_work("units of work for the compiler", pass.counts.work.saturating_mul(2), limits.load.work)?;
    }
    let manifest = pass.manifest.ok_or(LoadError::NoManifest)?;
    Ok(Inspection { manifest, roles: pass.roles, imports: pass.imports, form: pass.form })
}

struct Pass<'a, 'l> {
    limits: &'l Limits,
    form: Form,
    roles: Roles,
    imports: BTreeSet<String>,
    manifest: Option<&'a [u8]>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    /// For each module or component around the current place, how many instances it makes of others.
    around: Vec<usize>,
    /// For each of these the types of its functions, if it is a module.
    shapes: Vec<Shapes>,
    /// What the instances of the modules and components that are over may come to: a component that is
    /// instantiated makes its own instances each time, and the next one those of that one.
    instances: usize,
    modules: usize,
    functions: usize,
    definitions: usize,
    /// What the code is for the compiler.
    work: u64,
    memory_pages: u64,
    table_elements: u64,
    /// Where the next section of the outermost module begins: after its eight-byte header.
    section_start: usize,
}

impl<'a> Pass<'a, '_> {
    fn payload(&mut self, payload: Payload<'a>) -> Result<(), LoadError> {
        self.note_section(&payload);
        self.count_definitions(&payload)?;
        self.note_shapes(&payload)?;
        let outermost = self.counts.around.len() == 1;
        let load = &self.limits.load;
        // Payloads that are not named here are bounded by the number of definitions and checked by the
        // validator.
        if let Payload::Version { .. } = &payload {
            self.counts.around.push(0);
            self.counts.shapes.push(Shapes::default());
            self.counts.modules += 1;
            check("modules", self.counts.modules, load.modules)?;
        } else if let Payload::End(_) = &payload {
            let made = self.counts.around.pop().unwrap_or_default();
            self.counts.shapes.pop();
            self.counts.instances = self.counts.instances.saturating_mul(made.max(1));
            check("instances", self.counts.instances, load.instances)?;
        } else if let Payload::CustomSection(section) = &payload {
            if section.name() == MANIFEST_SECTION {
                check("bytes of manifest", section.data().len(), load.manifest_bytes)?;
                if self.manifest.replace(section.data()).is_some() {
                    return Err(LoadError::TwoManifests);
                }
            }
        } else if let Payload::FunctionSection(section) = &payload {
            self.add_functions(section.count())?;
        } else if let Payload::ComponentCanonicalSection(section) = &payload {
            // Code is made for each function that crosses the border of a component, too.
            self.add_functions(section.count())?;
            self.add_work(u64::from(section.count()) * CROSSING_WORK)?;
        } else if let Payload::InstanceSection(section) = payload {
            for instance in section {
                self.add_instance(matches!(instance?, Instance::Instantiate { .. }))?;
            }
        } else if let Payload::ComponentInstanceSection(section) = payload {
            for instance in section {
                self.add_instance(matches!(instance?, ComponentInstance::Instantiate { .. }))?;
            }
        } else if let Payload::CodeSectionEntry(body) = &payload {
            self.check_body(body)?;
        } else if let Payload::MemorySection(section) = payload {
            self.add_memories(section)?;
        } else if let Payload::TableSection(section) = payload {
            self.add_tables(section)?;
        } else if outermost {
            self.check_border(payload)?;
        }
        Ok(())
    }

    /// Keeps the types of functions, by which it is known what a call hands over.
    fn note_shapes(&mut self, payload: &Payload<'a>) -> Result<(), LoadError> {
        let Some(shapes) = self.counts.shapes.last_mut() else { return Ok(()) };
        if let Payload::TypeSection(section) = payload {
            shapes.add_types(section)?;
        } else if let Payload::ImportSection(section) = payload {
            for import in section.clone().into_imports() {
                shapes.add_import(import?.ty);
            }
        } else if let Payload::FunctionSection(section) = payload {
            shapes.add_functions(section)?;
        }
        Ok(())
    }

    /// Keeps the place of a section that a module cannot do without.
    fn note_section(&mut self, payload: &Payload<'a>) {
        if let Payload::Version { range, .. } = payload
            && self.counts.around.is_empty()
        {
            self.counts.section_start = place(range.end);
        }
        let Form::Module { sections, .. } = &mut self.form else {
            return;
        };
        if let Some((_, range)) = payload.as_section() {
            let section = self.counts.section_start..place(range.end);
            self.counts.section_start = section.end;
            if !matches!(payload, Payload::CustomSection(_)) {
                sections.push(section);
            }
        }
    }

    /// Imports and exports of the outermost module or component: its border with the host.
    fn check_border(&mut self, payload: Payload<'a>) -> Result<(), LoadError> {
        if let Payload::ImportSection(section) = payload {
            self.check_module_imports(section)
        } else if let Payload::ComponentImportSection(section) = payload {
            self.check_component_imports(section)
        } else if let Payload::ExportSection(section) = payload {
            self.note_module_exports(section)
        } else if let Payload::ComponentExportSection(section) = payload {
            self.note_component_exports(section)
        } else {
            Ok(())
        }
    }

    fn check_module_imports(&mut self, section: ImportSectionReader<'a>) -> Result<(), LoadError> {
        check("imports", section.count() as usize, IMPORTS_MAX)?;
        for import in section.into_imports() {
            let import = import?;
            contract::check_import(import.module, Some(import.name))?;
            self.note_import(import.module);
        }
        Ok(())
    }

    fn check_component_imports(&mut self, section: ComponentImportSectionReader<'a>) -> Result<(), LoadError> {
        for import in section {
            let name = import?.name.name;
            contract::check_import(name, None)?;
            self.note_import(name);
        }
        Ok(())
    }

    fn note_import(&mut self, interface: &str) {
        if contract::gives_something(interface) && !self.imports.contains(interface) {
            self.imports.insert(interface.to_owned());
        }
    }

    fn note_module_exports(&mut self, section: ExportSectionReader<'a>) -> Result<(), LoadError> {
        for export in section {
            // A module's export is named after interface and function: `crm:plugin/scorer@0.1.0#score`.
            let name = export?.name;
            let interface = name.split_once('#').map_or(name, |(interface, _)| interface);
            contract::note_export(&mut self.roles, interface)?;
            if let Form::Module { exports, .. } = &mut self.form {
                exports.push(name.to_owned());
            }
        }
        Ok(())
    }

    fn note_component_exports(&mut self, section: ComponentExportSectionReader<'a>) -> Result<(), LoadError> {
        section.into_iter().try_for_each(|export| contract::note_export(&mut self.roles, export?.name.name))
    }

    fn count_definitions(&mut self, payload: &Payload<'a>) -> Result<(), LoadError> {
        self.counts.definitions = self.counts.definitions.saturating_add(definitions(payload) as usize);
        check("definitions", self.counts.definitions, self.limits.load.definitions)
    }

    fn add_functions(&mut self, count: u32) -> Result<(), LoadError> {
        self.counts.functions = self.counts.functions.saturating_add(count as usize);
        check("functions", self.counts.functions, self.limits.load.functions)
    }

    /// Counts an instance; one that only gives other things a name is none.
    fn add_instance(&mut self, is_made: bool) -> Result<(), LoadError> {
        if let Some(made) = self.counts.around.last_mut() {
            *made += usize::from(is_made);
            check("instances", *made, self.limits.load.instances)?;
        }
        Ok(())
    }

    fn add_memories(&mut self, section: MemorySectionReader<'a>) -> Result<(), LoadError> {
        for memory in section {
            self.counts.memory_pages = self.counts.memory_pages.saturating_add(memory?.initial);
        }
        let bytes = self.counts.memory_pages.saturating_mul(PAGE_BYTES);
        check("bytes of declared memory", place(bytes), self.limits.memory_bytes)
    }

    fn add_tables(&mut self, section: TableSectionReader<'a>) -> Result<(), LoadError> {
        for table in section {
            self.counts.table_elements = self.counts.table_elements.saturating_add(table?.ty.initial);
        }
        let elements = place(self.counts.table_elements);
        check("declared table elements", elements, self.limits.table_elements)
    }

    fn check_body(&mut self, body: &FunctionBody<'a>) -> Result<(), LoadError> {
        let load = &self.limits.load;
        check("bytes of one function", body.as_bytes().len(), load.function_bytes)?;
        let mut locals = 0_u32;
        for group in body.get_locals_reader()? {
            locals = locals.saturating_add(group?.0);
        }
        check("locals of one function", locals as usize, load.locals as usize)?;

        // For each enclosing block, whether it is a loop.
        let mut blocks: Vec<bool> = Vec::new();
        let mut loops = 0;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let operator = operators.read()?;
            let is_loop = matches!(operator, Operator::Loop { .. });
            if is_loop || matches!(operator, Operator::Block { .. } | Operator::If { .. }) {
                blocks.push(is_loop);
                loops += usize::from(is_loop);
                check("nested blocks", blocks.len(), load.nesting)?;
                check("nested loops", loops, load.loop_nesting)?;
            } else if matches!(operator, Operator::End) {
                loops -= usize::from(blocks.pop().unwrap_or(false));
            } else if let Operator::BrTable { targets } = operator {
                check("branch targets", targets.len() as usize, load.branch_targets as usize)?;
            }
        }
        let Some(shapes) = self.counts.shapes.last_mut() else { return Ok(()) };
        let work = shapes.weigh(body)?;
        check_work("units of work for the compiler in one function", work, load.function_work)?;
        self.add_work(work)
    }

    fn add_work(&mut self, work: u64) -> Result<(), LoadError> {
        self.counts.work = self.counts.work.saturating_add(work);
        check_work("units of work for the compiler", self.counts.work, self.limits.load.work)
    }
}

/// How many entries a section says that it has, besides functions, which have a limit of their own. Each costs
/// time before anything runs, and some cost memory in each instance.
#[allow(clippy::wildcard_enum_match_arm, reason = "what is not named has no entries, or a limit of its own")]
fn definitions(payload: &Payload<'_>) -> u32 {
    match payload {
        Payload::TypeSection(section) => section.count(),
        Payload::ImportSection(section) => section.count(),
        Payload::TableSection(section) => section.count(),
        Payload::MemorySection(section) => section.count(),
        Payload::GlobalSection(section) => section.count(),
        Payload::ExportSection(section) => section.count(),
        Payload::ElementSection(section) => section.count(),
        Payload::DataSection(section) => section.count(),
        Payload::CoreTypeSection(section) => section.count(),
        Payload::InstanceSection(section) => section.count(),
        Payload::ComponentTypeSection(section) => section.count(),
        Payload::ComponentImportSection(section) => section.count(),
        Payload::ComponentInstanceSection(section) => section.count(),
        Payload::ComponentAliasSection(section) => section.count(),
        Payload::ComponentExportSection(section) => section.count(),
        _ => 0,
    }
}

fn check(what: &'static str, actual: usize, max: usize) -> Result<(), LoadError> {
    if actual > max { Err(LoadError::TooLarge { what, actual, max }) } else { Ok(()) }
}

fn check_work(what: &'static str, actual: u64, max: u64) -> Result<(), LoadError> {
    check(what, place(actual), place(max))
}

/// An offset or a size as an index; what does not fit is larger than any limit.
fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
