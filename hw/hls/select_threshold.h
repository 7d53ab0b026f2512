// Re-quantisation by thresholds of which an index chooses a set for each frame:
//   res = offset + number of thresholds t of entry index with data >= t
//
// Stream version
//   Ports    data, res: streams of packs of the same size. index: one pack of one element per frame, read
//            before the frame's data.
//   Loops    Packs, Folds: each cycle treats PE elements of a pack
//   Latency  size / PE cycles, II = 1
//
// Array version
//   Ports    data[size], index[1], res[size]
//   Loops    Elements; unrolled where the top is pipelined, otherwise PE elements in a cycle
//
// The index is constant within a frame. With one fold each threshold is a small memory of one word per entry,
// which the index addresses; the comparators are those of threshold.h.
//
// CONFIG_T: what threshold.h needs, and
//   entries  sets of thresholds; every value of the index is below

#ifndef CODESIGN_SELECT_THRESHOLD_H_
#define CODESIGN_SELECT_THRESHOLD_H_

#include "hls_stream.h"
#include "numbers.h"
#include "threshold.h"

namespace codesign {

template <class data_T, class index_T, class res_T, class CONFIG_T>
void select_threshold(
    hls::stream<data_T> &data, hls::stream<index_T> &index, hls::stream<res_T> &res,
    const typename CONFIG_T::store_t thresholds[CONFIG_T::entries][CONFIG_T::rows][CONFIG_T::count]) {
    typedef typename data_T::value_type x_t;
    typedef typename res_T::value_type y_t;
    const unsigned packs = CONFIG_T::size / data_T::size;
    const unsigned folds = data_T::size / CONFIG_T::pe;
    #pragma HLS ARRAY_PARTITION variable=thresholds complete dim=3
    #pragma HLS ARRAY_PARTITION variable=thresholds cyclic factor=CONFIG_T::pe dim=2
    x_t in[data_T::size];
    #pragma HLS ARRAY_PARTITION variable=in complete
    y_t out[res_T::size];
    #pragma HLS ARRAY_PARTITION variable=out complete
    const index_T chosen = index.read();
    const unsigned entry = chosen[0];
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
                out[i] = threshold_element<x_t, y_t, CONFIG_T>(in[i], thresholds[entry], row);
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

template <class data_T, class index_T, class res_T, class CONFIG_T>
void select_threshold(
    data_T data[CONFIG_T::size], index_T index[1], res_T res[CONFIG_T::size],
    const typename CONFIG_T::store_t thresholds[CONFIG_T::entries][CONFIG_T::rows][CONFIG_T::count]) {
    #pragma HLS ARRAY_PARTITION variable=thresholds complete dim=3
    #pragma HLS ARRAY_PARTITION variable=thresholds cyclic factor=CONFIG_T::pe dim=2
    const unsigned entry = index[0];
Elements:
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
        #pragma HLS PIPELINE II=1
        #pragma HLS UNROLL factor=CONFIG_T::pe
        res[i] = threshold_element<data_T, res_T, CONFIG_T>(data[i], thresholds[entry], i % CONFIG_T::rows);
    }
}

} // namespace codesign

#endif
