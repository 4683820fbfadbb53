"""price

Revision ID: 9b1c07
Revises: 3f2a91
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "9b1c07"
down_revision = "3f2a91"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("orders", "unit_price", new_column_name="price")


def downgrade() -> None:
    op.alter_column("orders", "price", new_column_name="unit_price")
