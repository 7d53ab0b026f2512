// Re-quantisation by thresholds: res = offset + number of thresholds t with data >= t.
//
// Thresholds ascend within a row. Up to 15 of them are compared at once and counted; more are searched by
// halving, so that the comparators grow with the output bits and not with the levels.
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
//   size                  elements in a frame
//   rows                  1 (one row serves all), the channels, or all features of a flat frame
//   count, offset         thresholds in a row, output below the first
//   pe                    parallel elements, a divisor of the pack (of rows for arrays)
//   threshold_t, store_t  types of comparison and of the table

#ifndef CODESIGN_THRESHOLD_H_
#define CODESIGN_THRESHOLD_H_

#include "hls_stream.h"
#include "numbers.h"

namespace codesign {

template <class x_T, class y_T, class CONFIG_T>
y_T threshold_element(x_T x, const typename CONFIG_T::store_t thresholds[CONFIG_T::rows][CONFIG_T::count],
                      unsigned row) {
    #pragma HLS INLINE
    typedef typename CONFIG_T::threshold_t threshold_t;
    unsigned reached = 0;
    if (CONFIG_T::count <= 15) {
    Compare:
        for (unsigned k = 0; k < CONFIG_T::count; k++) {
            #pragma HLS UNROLL
            reached += x >= threshold_t(thresholds[row][k]) ? 1 : 0;
        }
    } else {
    Halve:
        for (unsigned half = CONFIG_T::top_half; half > 0; half /= 2) {
            #pragma HLS UNROLL
            if (reached + half <= CONFIG_T::count && x >= threshold_t(thresholds[row][reached + half - 1]))
                reached += half;
        }
    }
    return y_T((long long)(reached) + CONFIG_T::offset);
}

template <class data_T, class res_T, class CONFIG_T>
void threshold(hls::stream<data_T> &data, hls::stream<res_T> &res,
               const typename CONFIG_T::store_t thresholds[CONFIG_T::rows][CONFIG_T::count]) {
    typedef typename data_T::value_type x_t;
    typedef typename res_T::value_type y_t;
    const unsigned packs = CONFIG_T::size / data_T::size;
    const unsigned folds = data_T::size / CONFIG_T::pe;
    #pragma HLS ARRAY_PARTITION variable=thresholds complete dim=2
    #pragma HLS ARRAY_PARTITION variable=thresholds cyclic factor=CONFIG_T::pe dim=1
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
                out[i] = threshold_element<x_t, y_t, CONFIG_T>(in[i], thresholds, row);
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
void threshold(data_T data[CONFIG_T::size], res_T res[CONFIG_T::size],
               const typename CONFIG_T::store_t thresholds[CONFIG_T::rows][CONFIG_T::count]) {
    #pragma HLS ARRAY_PARTITION variable=thresholds complete dim=2
    #pragma HLS ARRAY_PARTITION variable=thresholds cyclic factor=CONFIG_T::pe dim=1
Elements:
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
        #pragma HLS PIPELINE II=1
        #pragma HLS UNROLL factor=CONFIG_T::pe
        res[i] = threshold_element<data_T, res_T, CONFIG_T>(data[i], thresholds, i % CONFIG_T::rows);
    }
}

} // namespace codesign

#endif
