// Re-quantisation by an integer multiply and a shift, rounding half up and clamping:
//   res = clamp((data * multiplier[c] + constant[c]) >> shift[c]),  constant = bias + 2^(shift - 1)
//
// Stream version
//   Ports    data, res: streams of packs of the same size
//   Loops    Packs, Folds: each cycle treats PE elements of a pack
//   Latency  size / PE cycles, II = 1
//
// Array version
//   Ports    data[size], res[size]
//   Loops    Elements; unrolled where the top is pipelined, otherwise PE elements in a cycle
//
// CONFIG_T
//   size                elements in a frame
//   rows                1 (one entry serves all), the channels, or all features of a flat frame
//   pe                  parallel elements, a divisor of the pack (of rows for arrays)
//   multiplier_t, shift_t, wide_t   types of arithmetic; wide_t holds the product with its constant
//   clamp_t             a signed type that holds the shifted value and both limits
//   low, high           limits, as functions
//   multiplier_store_t, constant_store_t, shift_store_t   types of the tables

#ifndef CODESIGN_DYADIC_H_
#define CODESIGN_DYADIC_H_

#include "hls_stream.h"
#include "numbers.h"

namespace codesign {

template <class x_T, class y_T, class CONFIG_T>
y_T dyadic_element(x_T x, typename CONFIG_T::multiplier_t multiplier, typename CONFIG_T::wide_t constant,
                   typename CONFIG_T::shift_t shift) {
    #pragma HLS INLINE
    typedef typename CONFIG_T::clamp_t clamp_t;
    typename CONFIG_T::wide_t wide = x * multiplier;
    wide += constant;
    const clamp_t shifted = wide >> shift;
    const clamp_t low = CONFIG_T::low(), high = CONFIG_T::high();
    return y_T(shifted < low ? low : shifted > high ? high : shifted);
}

template <class data_T, class res_T, class CONFIG_T>
void dyadic(hls::stream<data_T> &data, hls::stream<res_T> &res,
            const typename CONFIG_T::multiplier_store_t multiplier[CONFIG_T::rows],
            const typename CONFIG_T::constant_store_t constant[CONFIG_T::rows],
            const typename CONFIG_T::shift_store_t shift[CONFIG_T::rows]) {
    typedef typename data_T::value_type x_t;
    typedef typename res_T::value_type y_t;
    const unsigned packs = CONFIG_T::size / data_T::size;
    const unsigned folds = data_T::size / CONFIG_T::pe;
    #pragma HLS ARRAY_PARTITION variable=multiplier cyclic factor=CONFIG_T::pe
    #pragma HLS ARRAY_PARTITION variable=constant cyclic factor=CONFIG_T::pe
    #pragma HLS ARRAY_PARTITION variable=shift cyclic factor=CONFIG_T::pe
    x_t in[data_T::size];
    #pragma HLS ARRAY_PARTITION variable=in complete
    y_t out[res_T::size];
    #pragma HLS ARRAY_PARTITION variable=out complete
Packs:
    for (unsigned p = 0; p < packs; p++) {
    Folds:
        for (unsigned f = 0; f < folds; f++) {
            #pragma HLS PIPELINE II=1 style=flp
            if (f == 0) {
                const data_T pack = data.read();
            Unpack:
                for (unsigned i = 0; i < data_T::size; i++) {
                    #pragma HLS UNROLL
                    in[i] = pack[i];
                }
            }
        Elements:
            for (unsigned e = 0; e < CONFIG_T::pe; e++) {
                #pragma HLS UNROLL
                const unsigned i = f * CONFIG_T::pe + e;
                const unsigned row = CONFIG_T::rows == 1              ? 0
                                     : CONFIG_T::rows == data_T::size ? i
                                                                      : p * data_T::size + i;
                out[i] = dyadic_element<x_t, y_t, CONFIG_T>(in[i], multiplier[row], constant[row], shift[row]);
            }
            if (f == folds - 1) {
                res_T pack;
            Pack:
                for (unsigned i = 0; i < res_T::size; i++) {
                    #pragma HLS UNROLL
                    pack[i] = out[i];
                }
                res.write(pack);
            }
        }
    }
}

template <class data_T, class res_T, class CONFIG_T>
void dyadic(data_T data[CONFIG_T::size], res_T res[CONFIG_T::size],
            const typename CONFIG_T::multiplier_store_t multiplier[CONFIG_T::rows],
            const typename CONFIG_T::constant_store_t constant[CONFIG_T::rows],
            const typename CONFIG_T::shift_store_t shift[CONFIG_T::rows]) {
    #pragma HLS ARRAY_PARTITION variable=multiplier cyclic factor=CONFIG_T::pe
    #pragma HLS ARRAY_PARTITION variable=constant cyclic factor=CONFIG_T::pe
    #pragma HLS ARRAY_PARTITION variable=shift cyclic factor=CONFIG_T::pe
Elements:
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
        #pragma HLS PIPELINE II=1
        #pragma HLS UNROLL factor=CONFIG_T::pe
        const unsigned row = i % CONFIG_T::rows;
        res[i] = dyadic_element<data_T, res_T, CONFIG_T>(data[i], multiplier[row], constant[row], shift[row]);
    }
}

} // namespace codesign

#endif
