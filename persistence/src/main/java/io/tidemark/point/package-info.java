/**
 * Recovery points: from what a person names ({@code latest}, a seq, a moment) to a position in the
 * history, and from a position to bytes.
 */
package io.tidemark.point;
