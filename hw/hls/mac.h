// Multiply and accumulate: what convolutions and dense layers share.
//
// An output is bias + sum of product(input, weight) over n_in inputs, accumulated as in running_sum.h. One
// step computes PE outputs over SIMD inputs in parallel; (n_in / SIMD) * (n_out / PE) steps, the reuse factor,
// make all outputs. Steps run over the inputs first, then over the outputs. With PE = n_out and SIMD = n_in
// there is one step, and every weight is a constant that synthesis folds into the logic.
//
// Sums are two's complement modulo 2^bits of their type, which holds every final sum, so no partial sum can
// spoil the result, in whatever order synthesis balances the adders.
//
// CONFIG_T
//   n_in, n_out            inputs of one output (of one group), outputs of all groups
//   groups                 groups of inputs; outputs are ordered group by group
//   pe, simd               parallel outputs, parallel inputs; pe divides n_out / groups or is its multiple
//   steps, lanes           reuse factor, pe * simd
//   accumulators, product  one accumulator or two, and what adds to them (see running_sum.h)
//   weight_t, accum_t      types of arithmetic
//   weight_store_t, bias_store_t   types of the tables
//
// weights[step][p * simd + s] belongs to output (step / (n_in / simd)) * pe + p and input
// (step % (n_in / simd)) * simd + s.

#ifndef CODESIGN_MAC_H_
#define CODESIGN_MAC_H_

#include "numbers.h"
#include "running_sum.h"

namespace codesign {

// Integer weights: a multiplier, or shift and add where the weight is a constant.
struct multiply {
    template <class x_T, class w_T> static auto apply(x_T x, w_T w) -> decltype(x * w) {
        #pragma HLS INLINE
        return x * w;
    }
};

// Weights -1 (stored 0) and +1 (stored 1) on one-bit inputs 0 and 1: x * w = [x == w] - [w == -1]. The
// first term is the exclusive nor counted here; the second is a constant per output, taken off the bias.
struct exclusive_nor {
    static ap_uint<1> apply(ap_uint<1> x, ap_uint<1> w) {
        #pragma HLS INLINE
        return ap_uint<1>(x == w);
    }
};

// One step: adds SIMD products to each of PE running sums, which start afresh in the first of the steps that
// make them.
template <class x_T, class CONFIG_T>
void multiply_accumulate(const x_T inputs[CONFIG_T::groups * CONFIG_T::n_in],
                         const typename CONFIG_T::weight_store_t weights[CONFIG_T::steps][CONFIG_T::lanes],
                         const typename CONFIG_T::bias_store_t bias[CONFIG_T::n_out], unsigned output_fold,
                         unsigned input_fold, typename running_sum<CONFIG_T>::state accumulator[CONFIG_T::pe]) {
    #pragma HLS INLINE
    const unsigned step = output_fold * (CONFIG_T::n_in / CONFIG_T::simd) + input_fold;
    typedef running_sum<CONFIG_T> sums;
    typedef typename CONFIG_T::accum_t accum_t;
    typedef typename CONFIG_T::weight_t weight_t;
Outputs:
    for (unsigned p = 0; p < CONFIG_T::pe; p++) {
        #pragma HLS UNROLL
        const unsigned output = output_fold * CONFIG_T::pe + p;
        const unsigned group = output / (CONFIG_T::n_out / CONFIG_T::groups);
        const unsigned first = group * CONFIG_T::n_in + input_fold * CONFIG_T::simd;
        typename sums::state sum = input_fold == 0 ? sums::start(accum_t(bias[output])) : accumulator[p];
    Inputs:
        for (unsigned s = 0; s < CONFIG_T::simd; s++) {
            #pragma HLS UNROLL
            sums::add(sum, inputs[first + s], weight_t(weights[step][p * CONFIG_T::simd + s]));
        }
        accumulator[p] = sum;
    }
}

} // namespace codesign

#endif
