// Index of the largest feature, the lowest index on a tie.
//
// Stream version
//   Ports    data: packs that make up size features. res: one pack of one element.
//   Loops    Packs, Features: one feature per cycle
//   Latency  size cycles, II = 1
//
// Array version
//   Ports    data[size], res[1]
//   Loops    Features; unrolled where the top is pipelined
//
// CONFIG_T::size  features

#ifndef CODESIGN_ARG_MAX_H_
#define CODESIGN_ARG_MAX_H_

#include "hls_stream.h"

namespace codesign {

template <class data_T, class res_T, class CONFIG_T>
void arg_max(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    typedef typename data_T::value_type x_t;
    x_t in[data_T::size];
    #pragma HLS ARRAY_PARTITION variable=in complete
    x_t best = 0;
    unsigned index = 0;
Packs:
    for (unsigned p = 0; p < CONFIG_T::size / data_T::size; p++) {
    Features:
        for (unsigned i = 0; i < data_T::size; i++) {
            #pragma HLS PIPELINE II=1 style=flp
            if (i == 0) {
                const data_T pack = data.read();
            Unpack:
                for (unsigned j = 0; j < data_T::size; j++) {
                    #pragma HLS UNROLL
                    in[j] = pack[j];
                }
            }
            const unsigned feature = p * data_T::size + i;
            if (feature == 0 || in[i] > best) {
                best = in[i];
                index = feature;
            }
        }
    }
    res_T out;
    out[0] = index;
    res.write(out);
}

template <class data_T, class res_T, class CONFIG_T> void arg_max(data_T data[CONFIG_T::size], res_T res[1]) {
    data_T best = 0;
    unsigned index = 0;
Features:
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
        #pragma HLS PIPELINE II=1
        if (i == 0 || data[i] > best) {
            best = data[i];
            index = i;
        }
    }
    res[0] = index;
}

} // namespace codesign

#endif
