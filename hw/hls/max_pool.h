// Maximum over windows; ports, loops and latency as in pool.h.

#ifndef CODESIGN_MAX_POOL_H_
#define CODESIGN_MAX_POOL_H_

#include "pool.h"

namespace codesign {

struct largest {
    template <class y_T> static y_T apply(y_T sofar, y_T next) {
        #pragma HLS INLINE
        return next > sofar ? next : sofar;
    }
};

template <class data_T, class res_T, class CONFIG_T>
void max_pool(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    pool<largest, data_T, res_T, CONFIG_T>(data, res);
}

template <class data_T, class res_T, class CONFIG_T>
void max_pool(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::channels],
              res_T res[CONFIG_T::out_height * CONFIG_T::out_width * CONFIG_T::channels]) {
    pool<largest, data_T, res_T, CONFIG_T>(data, res);
}

} // namespace codesign

#endif
