/**
 * A site as its administrators see it: volumes, points and events, whatever node they are asked on.
 */
package io.tidemark.site;
