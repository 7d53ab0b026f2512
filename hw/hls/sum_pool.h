// Sum over windows: an average without its division. Ports, loops and latency as in pool.h.

#ifndef CODESIGN_SUM_POOL_H_
#define CODESIGN_SUM_POOL_H_

#include "pool.h"

namespace codesign {

struct sum {
    template <class y_T> static y_T apply(y_T sofar, y_T next) {
        #pragma HLS INLINE
        return y_T(sofar + next);
    }
};

template <class data_T, class res_T, class CONFIG_T>
void sum_pool(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    pool<sum, data_T, res_T, CONFIG_T>(data, res);
}

template <class data_T, class res_T, class CONFIG_T>
void sum_pool(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::channels],
              res_T res[CONFIG_T::out_height * CONFIG_T::out_width * CONFIG_T::channels]) {
    pool<sum, data_T, res_T, CONFIG_T>(data, res);
}

} // namespace codesign

#endif
