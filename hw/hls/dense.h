// Fully connected layer on integers: res[o] = bias[o] + sum over i of data[i] * weight[i][o].
//
// Stream version
//   Ports    data: packs that make up n_in features. res: one pack of n_out.
//   Loops    Gather, one cycle per pack; Steps, one cycle per step of PE outputs and SIMD inputs (see mac.h)
//   Latency  n_in / pack + steps cycles, II = 1 in each loop
//
// Array version
//   Ports    data[n_in], res[n_out]
//   Loops    Steps; unrolled where the top is pipelined, otherwise steps cycles, II = 1
//
// CONFIG_T: what mac.h needs, with one group.

#ifndef CODESIGN_DENSE_H_
#define CODESIGN_DENSE_H_

#include "hls_stream.h"
#include "mac.h"

namespace codesign {

template <class data_T, class res_T, class CONFIG_T>
void dense(hls::stream<data_T> &data, hls::stream<res_T> &res,
           const typename CONFIG_T::weight_store_t weights[CONFIG_T::steps][CONFIG_T::lanes],
           const typename CONFIG_T::bias_store_t bias[CONFIG_T::n_out]) {
    typedef typename data_T::value_type x_t;
    const unsigned input_folds = CONFIG_T::n_in / CONFIG_T::simd;

    #pragma HLS ARRAY_PARTITION variable=weights complete dim=2
    #pragma HLS ARRAY_PARTITION variable=bias complete
    x_t features[CONFIG_T::n_in];
    #pragma HLS ARRAY_PARTITION variable=features complete
    typename running_sum<CONFIG_T>::state accumulator[CONFIG_T::pe];
    #pragma HLS ARRAY_PARTITION variable=accumulator complete
    typename CONFIG_T::accum_t result[CONFIG_T::n_out];
    #pragma HLS ARRAY_PARTITION variable=result complete

Gather:
    for (unsigned p = 0; p < CONFIG_T::n_in / data_T::size; p++) {
        #pragma HLS PIPELINE II=1 style=flp
        data_T pack = data.read();
        for (unsigned i = 0; i < data_T::size; i++) {
            #pragma HLS UNROLL
            features[p * data_T::size + i] = pack[i];
        }
    }

Steps:
    for (unsigned step = 0; step < CONFIG_T::steps; step++) {
        #pragma HLS PIPELINE II=1 style=flp
        const unsigned output_fold = step / input_folds, input_fold = step % input_folds;
        multiply_accumulate<x_t, CONFIG_T>(features, weights, bias, output_fold, input_fold, accumulator);
        if (input_fold == input_folds - 1) {
        Collect:
            for (unsigned p = 0; p < CONFIG_T::pe; p++) {
                #pragma HLS UNROLL
                const unsigned output = output_fold * CONFIG_T::pe + p;
                result[output] = running_sum<CONFIG_T>::finish(accumulator[p], bias[output]);
            }
        }
    }
    res_T out;
Pack:
    for (unsigned o = 0; o < CONFIG_T::n_out; o++) {
        #pragma HLS UNROLL
        out[o] = result[o];
    }
    res.write(out);
}

template <class data_T, class res_T, class CONFIG_T>
void dense(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_out],
           const typename CONFIG_T::weight_store_t weights[CONFIG_T::steps][CONFIG_T::lanes],
           const typename CONFIG_T::bias_store_t bias[CONFIG_T::n_out]) {
    const unsigned input_folds = CONFIG_T::n_in / CONFIG_T::simd;

    #pragma HLS ARRAY_PARTITION variable=weights complete dim=2
    #pragma HLS ARRAY_PARTITION variable=bias complete
    typename running_sum<CONFIG_T>::state accumulator[CONFIG_T::pe];
    #pragma HLS ARRAY_PARTITION variable=accumulator complete

Steps:
    for (unsigned step = 0; step < CONFIG_T::steps; step++) {
        #pragma HLS PIPELINE II=1
        const unsigned output_fold = step / input_folds, input_fold = step % input_folds;
        multiply_accumulate<data_T, CONFIG_T>(data, weights, bias, output_fold, input_fold, accumulator);
        if (input_fold == input_folds - 1) {
        Collect:
            for (unsigned p = 0; p < CONFIG_T::pe; p++) {
                #pragma HLS UNROLL
                const unsigned output = output_fold * CONFIG_T::pe + p;
                res[output] = running_sum<CONFIG_T>::finish(accumulator[p], bias[output]);
            }
        }
    }
}

} // namespace codesign

#endif
