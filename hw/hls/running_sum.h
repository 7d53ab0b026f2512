// What accumulates while the products of an output come in: one sum, or two for weights of two kinds.
//
// running_sum<CONFIG_T> has the type state and the functions start, add and finish. It is chosen by
// CONFIG_T::accumulators.
//
// One accumulator starts from the bias and adds product::apply(input, weight).
//
// Two accumulators serve weights that are powers of two or one odd constant times powers of two, such as the
// powers of the square root of two with 181/256 for its half. An input is only shifted and added, to the even
// or to the odd sum, whichever its weight belongs to; the constant is applied once per output:
//   res = bias + (even << even_shift) + (times(odd) << odd_shift)
//
// All sums are two's complement modulo 2^bits of their type, which holds every final sum.
//
// CONFIG_T: accum_t, weight_t, accumulators, and
//   one   product             struct with static apply(input, weight)
//   two   product             struct with static even(input, weight) and odd(input, weight): what the weight
//                             adds to either sum, and times(sum), the constant in shifts and adds
//         even_t, odd_t       types of the two sums
//         even_shift, odd_shift

#ifndef CODESIGN_RUNNING_SUM_H_
#define CODESIGN_RUNNING_SUM_H_

#include "numbers.h"

namespace codesign {

template <class CONFIG_T, unsigned ACCUMULATORS = CONFIG_T::accumulators> struct running_sum;

template <class CONFIG_T> struct running_sum<CONFIG_T, 1> {
    typedef typename CONFIG_T::accum_t accum_t;
    typedef typename CONFIG_T::weight_t weight_t;
    typedef accum_t state;

    static state start(accum_t bias) {
        #pragma HLS INLINE
        return bias;
    }
    template <class x_T> static void add(state &sum, x_T x, weight_t weight) {
        #pragma HLS INLINE
        sum += CONFIG_T::product::apply(x, weight);
    }
    static accum_t finish(const state &sum, accum_t) {
        #pragma HLS INLINE
        return sum;
    }
};

template <class CONFIG_T> struct running_sum<CONFIG_T, 2> {
    typedef typename CONFIG_T::accum_t accum_t;
    typedef typename CONFIG_T::weight_t weight_t;
    struct state {
        typename CONFIG_T::even_t even;
        typename CONFIG_T::odd_t odd;
    };

    static state start(accum_t) {
        #pragma HLS INLINE
        state zero;
        zero.even = 0;
        zero.odd = 0;
        return zero;
    }
    template <class x_T> static void add(state &sum, x_T x, weight_t weight) {
        #pragma HLS INLINE
        sum.even += CONFIG_T::product::even(x, weight);
        sum.odd += CONFIG_T::product::odd(x, weight);
    }
    static accum_t finish(const state &sum, accum_t bias) {
        #pragma HLS INLINE
        const accum_t even = accum_t(sum.even) << CONFIG_T::even_shift;
        const accum_t odd = CONFIG_T::product::times(accum_t(sum.odd)) << CONFIG_T::odd_shift;
        return accum_t(bias + even + odd);
    }
};

} // namespace codesign

#endif
