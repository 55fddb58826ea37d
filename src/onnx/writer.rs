//! The graph in the making.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::array::{Array, Budget};
use super::dim::{self, number};
use super::value::{Live, Value};
use crate::graph::{Dim, Graph, Node, Op, Parameter, Source, shape};
use crate::model::Weights;
use crate::{Error, Result};

/// Nodes, parameters and what was noticed while they were written.
pub(super) struct Writer {
    pub budget: Budget,
    pub notes: Vec<String>,
    /// The number of examples that the file is fixed to, where it is.
    pub batch: Option<i64>,
    image: Vec<Dim>,
    nodes: Vec<Node>,
    sides: Vec<Vec<Dim>>,
    parameters: Vec<(Parameter, Rc<Array<f32>>)>,
    /// The parameter that holds an array, by the array's address; the array lives as long as its parameter.
    placed: HashMap<*const Array<f32>, usize>,
    /// How often a name was asked for.
    names: HashMap<String, usize>,
}

impl Writer {
    /// An empty graph for images of channels, height and width.
    pub fn new(input: [usize; 3], budget: Budget) -> Self {
        Self {
            budget,
            notes: Vec::new(),
            batch: None,
            image: [vec![Dim::EXAMPLES], dim::sides(&input)].concat(),
            nodes: Vec::new(),
            sides: Vec::new(),
            parameters: Vec::new(),
            placed: HashMap::new(),
            names: HashMap::new(),
        }
    }

    /// The images.
    pub fn images(&self) -> Live {
        Live { source: Source::Input, sides: self.image.clone(), mask: false }
    }

    /// Says something once.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The result of a new node.
    ///
    /// # Errors
    /// Inputs that do not fit the operation.
    pub fn emit(&mut self, name: &str, op: Op, inputs: &[&Live]) -> Result<Live> {
        let given: Vec<Vec<Dim>> = inputs.iter().map(|live| live.sides.clone()).collect();
        let sides = shape::infer(&op, name, &given).map_err(|error| self.unfit(&op, name, &error))?;
        self.nodes.push(Node { name: name.into(), op, inputs: inputs.iter().map(|live| live.source).collect() });
        self.sides.push(sides.clone());
        Ok(Live { source: Source::Node(self.nodes.len() - 1), sides, mask: false })
    }

    /// An error of the graph's own check, without the node's name, which the caller adds.
    fn unfit(&self, op: &Op, name: &str, error: &Error) -> Error {
        let rest = error.message().strip_prefix(&format!("node \"{name}\" ({})", op.name()));
        let told = Error::input(rest.map_or_else(|| error.message().to_owned(), |rest| format!("{}{rest}", op.name())));
        match self.batch {
            Some(batch) => told.help(format!("the file fixes the batch to {batch}: export with a dynamic batch dimension")),
            None => told,
        }
    }

    /// A value as the network reads it: constants become parameters, named after `name` where they have no name of their own.
    pub fn live(&mut self, value: &Value, name: &str) -> Result<Live> {
        self.placed(value, name, false)
    }

    /// As [`Writer::live`], for a weight or bias, which training changes where it is an initialiser of the file.
    pub fn weight(&mut self, value: &Value, name: &str) -> Result<Live> {
        self.placed(value, name, true)
    }

    fn placed(&mut self, value: &Value, name: &str, weight: bool) -> Result<Live> {
        let (array, origin) = match value {
            Value::Live(live) => return Ok(live.clone()),
            Value::Floats { array, origin } => (array.clone(), origin.clone()),
            Value::Whole(_) => (self.floats(value)?, None),
        };
        let trained = weight && origin.is_some();
        let at = match self.placed.get(&Rc::as_ptr(&array)) {
            Some(at) => *at,
            None => {
                let name = self.free_name(origin.as_deref().unwrap_or(&format!("{name}.constant")));
                let parameter = Parameter { name, shape: array.sides.clone(), trained: false };
                self.placed.insert(Rc::as_ptr(&array), self.parameters.len());
                self.parameters.push((parameter, array.clone()));
                self.parameters.len() - 1
            }
        };
        self.parameters[at].0.trained |= trained;
        Ok(Live { source: Source::Parameter(at), sides: dim::sides(&array.sides), mask: false })
    }

    fn free_name(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        loop {
            let taken = self.names.entry(name.clone()).or_insert(0);
            if *taken == 0 {
                *taken = 1;
                return name;
            }
            let again = self.names.entry(wanted.to_owned()).or_insert(0);
            *again += 1;
            name = format!("{wanted}.{again}");
        }
    }

    /// A constant as floats.
    ///
    /// # Errors
    /// A value of the network, or numbers that N is in.
    pub fn floats(&self, value: &Value) -> Result<Rc<Array<f32>>> {
        match value {
            Value::Floats { array, .. } => Ok(array.clone()),
            Value::Whole(array) => {
                let float = |dim: Dim| {
                    number(dim).map(|number| number as f32).ok_or_else(|| Error::input("a number of examples is used as a float"))
                };
                Ok(Rc::new(array.map(&self.budget, float)?))
            }
            Value::Live(_) => {
                Err(Error::input("has to be known before the network runs").help("export the model in eval mode with constant folding"))
            }
        }
    }

    /// The node that makes a value, for joining the next one to it.
    pub fn node(&self, live: &Live) -> Option<&Node> {
        match live.source {
            Source::Node(at) => self.nodes.get(at),
            _ => None,
        }
    }

    /// A node's input as a value.
    pub fn input(&self, source: Source) -> Live {
        let sides = match source {
            Source::Input => self.image.clone(),
            Source::Parameter(at) => dim::sides(&self.parameters[at].0.shape),
            Source::Node(at) => self.sides[at].clone(),
        };
        Live { source, sides, mask: false }
    }

    /// The numbers of a parameter.
    pub fn numbers(&self, source: Source) -> Option<&Array<f32>> {
        match source {
            Source::Parameter(at) => self.parameters.get(at).map(|(_, array)| &**array),
            _ => None,
        }
    }

    /// The graph and its weights, without what the output does not need.
    pub fn finish(self, output: Source, input: [usize; 3], classes: usize) -> Result<(Graph, Weights)> {
        let mut wanted = vec![false; self.nodes.len()];
        let mut read = vec![false; self.parameters.len()];
        let mut mark = |source: Source, wanted: &mut Vec<bool>| match source {
            Source::Node(at) => wanted[at] = true,
            Source::Parameter(at) => read[at] = true,
            Source::Input => {}
        };
        mark(output, &mut wanted);
        for at in (0..self.nodes.len()).rev() {
            if wanted[at] {
                self.nodes[at].inputs.iter().for_each(|source| mark(*source, &mut wanted));
            }
        }
        let (node_places, parameter_places) = (places(&wanted), places(&read));
        let moved = |source: Source| match source {
            Source::Node(at) => Source::Node(node_places[at]),
            Source::Parameter(at) => Source::Parameter(parameter_places[at]),
            Source::Input => Source::Input,
        };
        let kept = |(node, wanted): (Node, bool)| {
            wanted.then(|| Node { inputs: node.inputs.iter().map(|source| moved(*source)).collect(), ..node })
        };
        let nodes = self.nodes.into_iter().zip(wanted).filter_map(kept).collect();
        let mut weights = BTreeMap::new();
        let mut parameters = Vec::new();
        for ((parameter, array), _) in self.parameters.into_iter().zip(read).filter(|(_, read)| *read) {
            let numbers = Rc::try_unwrap(array).unwrap_or_else(|array| (*array).clone());
            weights.insert(parameter.name.clone(), (parameter.shape.clone(), numbers.values));
            parameters.push(parameter);
        }
        let graph = Graph { input, classes, parameters, nodes, output: moved(output) };
        graph.shapes()?;
        Ok((graph, Weights(weights)))
    }
}

/// Where each one kept comes to lie.
fn places(kept: &[bool]) -> Vec<usize> {
    let mut count = 0;
    let place = |kept: &bool| {
        count += usize::from(*kept);
        count.saturating_sub(1)
    };
    kept.iter().map(place).collect()
}
