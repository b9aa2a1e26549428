//! The encoder: BERT (Devlin et al. 2018) as far as embeddings need it, on candle. The texts of a batch lie one after the
//! other without padding: everything but attention works on rows, and attention takes each text by itself.
use super::kernels::{AddNormalise, Bias, BiasGelu, Softmax};
use super::shape::Shape;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

/// What candle is given for lengths below zero, which there are none of: a direction has to have some length.
const LENGTH_MIN: f32 = 1e-12;

/// One matrix product with its bias.
#[derive(Debug)]
struct Linear {
    /// Columns are outputs, as the product wants it.
    weight: Tensor,
    bias: Tensor,
}

/// One block of attention and two products.
#[derive(Debug)]
struct Layer {
    /// Queries, keys and values in one product.
    mixed: Linear,
    attended: Tensor,
    /// Bias of `attended`, scale and shift.
    attended_norm: Tensor,
    wide: Linear,
    narrow: Tensor,
    /// Bias of `narrow`, scale and shift.
    narrow_norm: Tensor,
}

/// A model's weights, ready to be used by any number of threads.
#[derive(Debug)]
pub struct Encoder {
    words: Tensor,
    /// Places, each with the kind "first text" added: there is no second one.
    places: Tensor,
    norm: Tensor,
    layers: Vec<Layer>,
    shape: Shape,
}

impl Encoder {
    /// Takes the weights out of a file in safetensors, as 32-bit floats.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn read(weights: Vec<u8>, shape: Shape) -> Result<Self> {
        let all = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        // files of the bare model have no prefix, those of one with a head have
        let root = if all.contains_tensor("bert.embeddings.word_embeddings.weight") { all.pp("bert") } else { all };
        let from = root.pp("embeddings");
        let width = shape.width;
        let words = from.get((shape.words, width), "word_embeddings.weight")?;
        let places = from.get((shape.places, width), "position_embeddings.weight")?;
        let kinds = from.get((shape.kinds, width), "token_type_embeddings.weight")?;
        let places = places.broadcast_add(&kinds.narrow(0, 0, 1)?)?;
        let no_bias = Tensor::zeros(width, DType::F32, &Device::Cpu)?;
        let norm = norm(&from.pp("LayerNorm"), &no_bias, width)?;
        let layers = (0..shape.layers)
            .map(|number| Layer::read(&root.pp("encoder.layer").pp(number), &shape))
            .collect::<Result<_>>()?;
        Ok(Self { words, places, norm, layers, shape })
    }

    /// The shape its weights have.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The direction of each text: the mean over its tokens, of length 1 (Reimers and Gurevych 2019).
    ///
    /// # Errors
    /// A text without tokens, with more than there are places for, or with one the vocabulary does not have.
    pub fn encode(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let tokens = texts.concat();
        let rows = tokens.len();
        let places: Vec<u32> =
            texts.iter().flat_map(|text| (0_u32..).zip(text.iter()).map(|(place, _)| place)).collect();
        let tokens = Tensor::from_vec(tokens, rows, &Device::Cpu)?;
        let places = Tensor::from_vec(places, rows, &Device::Cpu)?;
        let state = self.words.index_select(&tokens, 0)?;
        let normalise = AddNormalise { epsilon: self.shape.epsilon };
        state.inplace_op3(&self.places.index_select(&places, 0)?, &self.norm, &normalise)?;
        let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        let mut state = state;
        for layer in &self.layers {
            state = layer.run(state, &lengths, &self.shape)?;
        }
        directions(&state, &lengths)
    }
}

impl Layer {
    fn read(from: &VarBuilder<'_>, shape: &Shape) -> Result<Self> {
        let (width, inner) = (shape.width, shape.inner);
        let attention = from.pp("attention");
        let parts = ["query", "key", "value"].map(|part| attention.pp("self").pp(part));
        let weights = parts.iter().map(|part| part.get((width, width), "weight")).collect::<Result<Vec<_>>>()?;
        let biases = parts.iter().map(|part| part.get(width, "bias")).collect::<Result<Vec<_>>>()?;
        let mixed = Linear { weight: columns(&Tensor::cat(&weights, 0)?)?, bias: Tensor::cat(&biases, 0)? };
        let output = attention.pp("output");
        let wide = from.pp("intermediate.dense");
        let narrow = from.pp("output");
        Ok(Self {
            mixed,
            attended: columns(&output.get((width, width), "dense.weight")?)?,
            attended_norm: norm(&output.pp("LayerNorm"), &output.get(width, "dense.bias")?, width)?,
            wide: Linear { weight: columns(&wide.get((inner, width), "weight")?)?, bias: wide.get(inner, "bias")? },
            narrow: columns(&narrow.get((width, inner), "dense.weight")?)?,
            narrow_norm: norm(&narrow.pp("LayerNorm"), &narrow.get(width, "dense.bias")?, width)?,
        })
    }

    fn run(&self, state: Tensor, lengths: &[usize], shape: &Shape) -> Result<Tensor> {
        let normalise = AddNormalise { epsilon: shape.epsilon };
        let attended = attend(&self.mixed.run(&state)?, lengths, shape)?.matmul(&self.attended)?;
        attended.inplace_op3(&state, &self.attended_norm, &normalise)?;
        let wide = attended.matmul(&self.wide.weight)?;
        wide.inplace_op2(&self.wide.bias, &BiasGelu)?;
        let narrow = wide.matmul(&self.narrow)?;
        narrow.inplace_op3(&attended, &self.narrow_norm, &normalise)?;
        Ok(narrow)
    }
}

impl Linear {
    fn run(&self, rows: &Tensor) -> Result<Tensor> {
        let product = rows.matmul(&self.weight)?;
        product.inplace_op2(&self.bias, &Bias)?;
        Ok(product)
    }
}

/// Attention of each text to itself: queries, keys and values of all heads stand in one row.
fn attend(mixed: &Tensor, lengths: &[usize], shape: &Shape) -> Result<Tensor> {
    let heads = shape.heads;
    let head = shape.width / heads;
    #[expect(clippy::cast_precision_loss, reason = "a head has some hundred numbers at most")]
    let softmax = Softmax { scale: 1.0 / (head as f32).sqrt() };
    let mut attended = Vec::with_capacity(lengths.len());
    let mut begin = 0;
    for length in lengths.iter().copied() {
        let text = mixed.narrow(0, begin, length)?.reshape((length, 3, heads, head))?;
        let part = |number: usize| text.narrow(1, number, 1)?.squeeze(1)?.transpose(0, 1);
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        let weights = queries.matmul(&keys.transpose(1, 2)?)?;
        weights.inplace_op1(&softmax)?;
        attended.push(weights.matmul(&values)?.transpose(0, 1)?.reshape((length, shape.width))?);
        begin = begin.saturating_add(length);
    }
    Tensor::cat(&attended, 0)
}

fn columns(weight: &Tensor) -> Result<Tensor> {
    weight.t()?.contiguous()
}

fn norm(from: &VarBuilder<'_>, bias: &Tensor, width: usize) -> Result<Tensor> {
    Tensor::stack(&[bias, &from.get(width, "weight")?, &from.get(width, "bias")?], 0)
}

fn directions(state: &Tensor, lengths: &[usize]) -> Result<Vec<Vec<f32>>> {
    let width = state.dim(1)?;
    let numbers = state.flatten_all()?.to_vec1::<f32>()?;
    let mut rows = numbers.chunks_exact(width.max(1));
    let direction = |length: &usize| {
        let mut sum = vec![0.0_f32; width];
        for row in rows.by_ref().take(*length) {
            for (sum, number) in sum.iter_mut().zip(row) {
                *sum += number;
            }
        }
        // its length is what counts, so that the sum is as good as the mean
        let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt().max(LENGTH_MIN);
        sum.iter_mut().for_each(|number| *number /= length);
        sum
    };
    Ok(lengths.iter().map(direction).collect())
}
