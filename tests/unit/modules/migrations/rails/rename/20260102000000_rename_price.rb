class RenamePrice < ActiveRecord::Migration[7.1]
  def change
    rename_column :orders, :unit_price, :price
  end
end
